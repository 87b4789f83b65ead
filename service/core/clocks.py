"""What time was it when a pump measured? The pump's clock plus the stored offset of its boot.

A clock that says a time before pumps like this existed (a battery reset sets 1970), or a time ahead of ours, is not
believed: the last reading of its message is taken to be as old as its arrival, and the offset is stored with the first
reading that it applies to. A clock that is merely behind cannot be told from a reading that was long on its way.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from service.core.reading import EventType, Items, boot_of

AHEAD_MS: Final = 300_000
EARLIEST_MS: Final = 1_420_070_400_000  # 2015-01-01


class Offset(NamedTuple):
    row: int
    from_position: int
    offset_ms: int


def map_to_ours(
    items: Items,
    rows: npt.NDArray[np.intp],
    starts: npt.NDArray[np.intp],
    offset_ms: npt.NDArray[np.int64],
    through: npt.NDArray[np.int64],
) -> list[Offset]:
    """Set `measured_ms` of items sorted by row and position; return the offsets that are new.

    `offset_ms` and `through` are per row: the offset in force and the position it was last used at.
    """
    items["measured_ms"] = items["device_ms"] + offset_ms[rows]
    doubtful = (
        (items["measured_ms"] > items["received_ms"] + AHEAD_MS)
        | (items["device_ms"] < EARLIEST_MS)
        | (offset_ms[rows] != 0)
    )
    if not doubtful.any():
        return []
    ends = np.r_[starts[1:], len(items)]
    new: list[Offset] = []
    for group in np.flatnonzero(np.logical_or.reduceat(doubtful, starts)):
        span = slice(starts[group], ends[group])
        row = int(rows[starts[group]])
        new += _map_one(items[span], row, int(offset_ms[row]), int(through[row]))
    return new


def _map_one(items: Items, row: int, offset_ms: int, before: int) -> list[Offset]:
    """One pump: `items` is a view, mapped in place."""
    new: list[Offset] = []
    for at in range(len(items)):
        position, device_ms = int(items["position"][at]), int(items["device_ms"][at])
        received_ms = int(items["received_ms"][at])
        fresh = boot_of(position) != boot_of(before) or items["kind"][at] == EventType.CLOCK_SET
        needed_ms = 0 if fresh else offset_ms
        if (device_ms < EARLIEST_MS and needed_ms == 0) or device_ms + needed_ms > received_ms + AHEAD_MS:
            same_message = items["device_ms"][at:][items["message"][at:] == items["message"][at]]
            needed_ms = received_ms - int(same_message[-1])
        if needed_ms != offset_ms:
            new.append(Offset(row, position, needed_ms))
            offset_ms = needed_ms
        items["measured_ms"][at] = device_ms + offset_ms
        before = position
    return new
