"""In what does something that came again differ from what is stored in its place?"""

from typing import Final

import numpy as np

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
