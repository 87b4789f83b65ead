"""What time was it when a pump measured? The pump's clock plus the stored offset of its boot.

A clock that says a time before pumps like this existed (a battery reset sets 1970), or a time ahead of ours, is not
believed: the last reading of its message is taken to be as old as its arrival, and the offset is stored with the first
reading that it applies to. A clock that is merely behind cannot be told from a reading that was long on its way.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from service.core.reading import EventType, Items, boot_of

AHEAD_MS: Final = 300_000
MOST_OFFSETS: Final = 64
"""Offsets of one pump that are remembered. What comes late of before them is dated as if its boot were new."""
EARLIEST_MS: Final = 1_420_070_400_000  # 2015-01-01
FARTHEST_BACK_MS: Final = 86_400_000
"""Nothing is mapped further than this before the newest time of its pump: reading the store back relies on it."""


class Offset(NamedTuple):
    row: int
    from_position: int
    offset_ms: int


class Clocks(NamedTuple):
    """What is known of the pumps' clocks, a value a row."""

    offset_ms: npt.NDArray[np.int64]  # in force
    highest: npt.NDArray[np.int64]  # the position it was last used at; nothing at or below it changes an offset
    newest_ms: npt.NDArray[np.int64]  # the newest time mapped so far; 0 before the first
    stored: Mapping[int, Sequence[tuple[int, int]]] = {}  # row → (from position, offset), all that were ever in force


def map_to_ours(
    items: Items,
    rows: npt.NDArray[np.intp],
    starts: npt.NDArray[np.intp],
    clocks: Clocks,
    ends_ms: npt.NDArray[np.int64] | None = None,
) -> list[Offset]:
    """Set `measured_ms` of items sorted by row and position; return the offsets that are new.

    `ends_ms`, by message: the device time of its last reading, where `items` may not have it.
    """
    offset_ms = clocks.offset_ms[rows]
    items["measured_ms"] = items["device_ms"] + offset_ms
    doubtful = (
        (items["measured_ms"] > items["received_ms"] + AHEAD_MS)
        | (items["device_ms"] < EARLIEST_MS)
        | (offset_ms != 0)
        | (items["measured_ms"] < clocks.newest_ms[rows] - FARTHEST_BACK_MS)
    )
    if clocks.stored:
        doubtful |= (items["position"] <= clocks.highest[rows]) & np.isin(rows, list(clocks.stored))
    if not doubtful.any():
        return []
    ends = np.r_[starts[1:], len(items)]
    new: list[Offset] = []
    for group in np.flatnonzero(np.logical_or.reduceat(doubtful, starts)):
        row = int(rows[starts[group]])
        new += _map_one(items[starts[group] : ends[group]], row, clocks, ends_ms)
    return new


def _map_one(items: Items, row: int, clocks: Clocks, ends_ms: npt.NDArray[np.int64] | None) -> list[Offset]:
    """One pump: `items` is a view, mapped in place."""
    offset_ms, before, newest_ms = (int(column[row]) for column in clocks[:3])
    known = sorted(clocks.stored.get(row, ()))
    new: list[Offset] = []
    for at in range(len(items)):
        position, device_ms = int(items["position"][at]), int(items["device_ms"][at])
        received_ms = int(items["received_ms"][at])
        message = items["message"][at]
        if ends_ms is None:
            same_message = items["device_ms"][at:][items["message"][at:] == message]
            as_of_now_ms = received_ms - int(same_message[-1])
        else:
            as_of_now_ms = received_ms - int(ends_ms[message])
        fresh = boot_of(position) != boot_of(before) or items["kind"][at] == EventType.CLOCK_SET
        own_ms = _stored_for(position, known)
        if position <= before:  # came before, or late: it says nothing of the clock as it is now
            if own_ms is None:
                own_ms = _needed_ms(device_ms, received_ms, 0 if fresh else offset_ms, as_of_now_ms)
            items["measured_ms"][at] = device_ms + own_ms
            continue
        # While the first of a boot is missing, all of it lies beyond `before`: what is stored of it is in force for it.
        in_force_ms = offset_ms if own_ms is None else own_ms
        is_set = items["kind"][at] == EventType.CLOCK_SET
        begins_anew = is_set or (fresh and own_ms is None)
        needed_ms = _needed_ms(device_ms, received_ms, 0 if begins_anew else in_force_ms, as_of_now_ms)
        if device_ms + needed_ms < newest_ms - FARTHEST_BACK_MS:
            needed_ms = as_of_now_ms
        if needed_ms != in_force_ms:
            new.append(Offset(row, position, needed_ms))
            known = sorted([*known, (position, needed_ms)])
            offset_ms = needed_ms
        items["measured_ms"][at] = device_ms + needed_ms
        newest_ms = max(newest_ms, device_ms + needed_ms)
        before = position
    return new


def about_ms(items: Items, rows: npt.NDArray[np.intp], clocks: Clocks) -> npt.NDArray[np.int64]:
    """When each item was measured, to within FARTHEST_BACK_MS, by what is stored of its own boot."""
    found = items["device_ms"].copy()
    for at in np.flatnonzero(np.isin(rows, list(clocks.stored))):
        found[at] += _stored_for(int(items["position"][at]), clocks.stored[int(rows[at])]) or 0
    impossible = (found < EARLIEST_MS) | (found > items["received_ms"] + AHEAD_MS)
    return np.where(impossible, items["received_ms"], found)


def _stored_for(position: int, stored: Sequence[tuple[int, int]]) -> int | None:
    """The offset that a position of an earlier time has: that of its own boot, from there on or from later on."""
    own = [(start, offset_ms) for start, offset_ms in stored if boot_of(start) == boot_of(position)]
    if not own:
        return None
    before = [offset_ms for start, offset_ms in own if start <= position]
    return before[-1] if before else own[0][1]


def _needed_ms(device_ms: int, received_ms: int, offset_ms: int, as_of_now_ms: int) -> int:
    """The offset for one item: the one in force, none where the clock alone is far nearer the truth, or a new one."""

    def possible(ms: int) -> bool:
        return EARLIEST_MS <= ms <= received_ms + AHEAD_MS

    mapped_ms = device_ms + offset_ms
    nearer_ms = abs(mapped_ms - received_ms) - abs(device_ms - received_ms)
    if possible(device_ms) and (not possible(mapped_ms) or nearer_ms > FARTHEST_BACK_MS):
        return 0
    return offset_ms if possible(mapped_ms) else as_of_now_ms
