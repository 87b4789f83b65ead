"""Is what a pump says possible? Ranges and the order of its times, judged over all rows of a batch at once.

Nothing here is a verdict about a patient: a value within these ranges may still be alarming, and a clock may be
years off (docs/interface.md). Outside them the message cannot be what it claims to be, and is kept aside whole.
"""

from collections.abc import Iterator
from math import isfinite
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.reading import Items
from service.core.rejection import Reason, Rejection

RANGES: Final = {
    "program_ml_d": (0.0, 100.0),
    "flow_ml_d": (0.0, 100_000.0),
    "reservoir_ml": (0.0, 100.0),
    "battery_v": (0.0, 10.0),
    "delivered_ul": (0.0, 1e9),
}


def implausible(readings: Items) -> list[Rejection]:
    """Return what is wrong with `readings` (in message order, not yet rounded), the first fault of each message."""
    found: dict[int, Rejection] = {}
    for name, (lowest, highest) in RANGES.items():
        column = readings[name]
        inside = (column >= lowest) & (column <= highest)  # false for NaN
        for message, index, row in _first_of_each_message(readings, ~inside):
            value = float(column[row])
            reason = Reason.OUT_OF_RANGE if isfinite(value) else Reason.NOT_FINITE
            detail = f"{name}[{index}] is {value:g}, not {lowest:g} to {highest:g}"
            found.setdefault(message, Rejection(message, reason, detail))
    device_ms = readings["device_ms"]
    for message, index, row in _first_of_each_message(readings, _backwards(readings)):
        detail = f"time_ms[{index}] is {device_ms[row - 1] - device_ms[row]} ms before time_ms[{index - 1}]"
        found.setdefault(message, Rejection(message, Reason.TIME_BACKWARDS, detail))
    return list(found.values())


def _backwards(items: Items) -> npt.NDArray[np.bool_]:
    """Where the time is before that of the row ahead in the same message."""
    message, device_ms = items["message"], items["device_ms"]
    backwards = np.zeros(len(items), bool)
    backwards[1:] = (device_ms[1:] < device_ms[:-1]) & (message[1:] == message[:-1])
    return backwards


def _first_of_each_message(items: Items, bad: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Yield (message, index of the reading in it, row) of the first bad row of each message that has one."""
    if not bad.any():
        return
    all_messages = np.ascontiguousarray(items["message"])
    bad_rows = np.flatnonzero(bad)
    messages, firsts = np.unique(all_messages[bad_rows], return_index=True)
    rows = bad_rows[firsts]
    indexes = rows - np.searchsorted(all_messages, messages)
    yield from zip(messages.tolist(), indexes.tolist(), rows.tolist(), strict=True)


def forgotten_too_soon(items: Items, held_from: npt.NDArray[np.int64]) -> list[Rejection]:
    """Reject messages whose `held_from` lies after their own last position: a pump holds what it sends.

    Believing one would write off every reading that is still to come below it.
    """
    last = np.full(len(held_from), np.iinfo(np.int64).max)
    last[items["message"]] = items["position"]  # of a message's rows the last one stays
    return [
        Rejection(int(message), Reason.HELD_FROM_AHEAD, f"held_from is {held_from[message] - last[message]} after it")
        for message in np.flatnonzero(held_from > last)
    ]
