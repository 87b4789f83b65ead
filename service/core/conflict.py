"""In what does something that came again differ from what is stored in its place?"""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.reading import Items

_COMPARED: Final = {
    "kind": "its kind",
    "mode": "mode",
    "code": "code",
    "program_ml_d": "program_ml_d",
    "flow_ml_d": "flow_ml_d",
    "reservoir_ml": "reservoir_ml",
    "battery_v": "battery_v",
    "delivered_ul": "delivered_ul",
    "value": "its value",
    "second": "its second value",
}


def places_of(ours: Items, stored: Items) -> npt.NDArray[np.intp]:
    """For each of ours, where in `stored` that of its pump and position is, the first of several; -1: nowhere."""
    pump, position = (np.concatenate([stored[name], ours[name]]) for name in ("pump", "position"))
    order = np.lexsort((position, pump))
    begins = np.r_[True, (np.diff(pump[order]) != 0) | (np.diff(position[order]) != 0)][: len(order)]
    first = order[np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))]
    places: npt.NDArray[np.intp] = np.full(len(order), -1, np.intp)
    places[order] = np.where(first < len(stored), first, -1)
    return places[len(stored) :]


def differ(ours: Items, theirs: Items, timed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which of ours are not the same as theirs; of those that are `timed`, also in when they were."""
    differing: npt.NDArray[np.bool_] = timed & (ours["measured_ms"] != theirs["measured_ms"])
    for name in _COMPARED:
        mine, stored = ours[name], theirs[name]
        differing |= (mine != stored) & ~((mine != mine) & (stored != stored))  # noqa: PLR0124 - NaN: not said
    return differing


def difference(ours: np.void, theirs: np.void, *, timed: bool = False) -> str:
    """What is said differently, a line for a person; empty where it is the same. `timed`: also of when it was."""
    parts = []
    for name, shown in _COMPARED.items():
        mine, stored = ours[name].item(), theirs[name].item()
        if mine != stored and not (mine != mine and stored != stored):  # noqa: PLR0124 - NaN: not said
            parts.append(f"{shown} is {mine:.6g}, stored is {stored:.6g}")
    apart_ms = int(ours["measured_ms"]) - int(theirs["measured_ms"])
    if timed and apart_ms:
        parts.append(f"its time is {abs(apart_ms)} ms {'after' if apart_ms > 0 else 'before'} the stored one's")
    return "; ".join(parts)
