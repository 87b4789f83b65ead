"""Why does an alert exist? The limits, the statistic and the readings' last values that made its condition begin."""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Condition
from service.core.limits import LIMITS
from service.core.rules import (
    battery,
    delivery,
    device,
    dosing,
    flutter,
    gross,
    level,
    program,
    refill,
    reservoir,
    stall,
    stopped,
)
from service.core.state import Field

_STATISTICS: Final[dict[Condition, dict[str, Field]]] = (
    stall.STATISTICS
    | flutter.STATISTICS
    | gross.STATISTICS
    | stopped.STATISTICS
    | delivery.STATISTICS
    | reservoir.STATISTICS
    | refill.STATISTICS
    | level.STATISTICS
    | battery.STATISTICS
    | dosing.STATISTICS
    | program.STATISTICS
    | device.STATISTICS
)

_FACTS: Final[dict[Condition, tuple[str, ...]]] = {
    Condition.BOLUS_CAP: ("bolus_daily_cap_ul",),
    Condition.REFILL_MISMATCH: ("capacity_ml",),
}
"""What the registry says that the rule depends on."""


def evidence_of(
    condition: Condition, state: npt.NDArray[np.float64], limits: np.void, item: np.void
) -> dict[str, float | int | str]:
    """One pump's `state` [field], `limits` and `item` as they are once the condition has turned.

    Keys: `limit_…` as in the rulebook, the condition's statistics, what the registry says to it, and the values of the
    reading that decided.
    """
    told: dict[str, float | int | str] = {
        f"limit_{name}": float(limits[f"{condition}_{name}"]) for name in LIMITS.get(condition, {})
    }
    told |= {name: round(float(state[field]), 6) for name, field in _STATISTICS.get(condition, {}).items()}
    told |= {name: float(limits[name]) for name in _FACTS.get(condition, ())}
    for name in ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v"):
        if not np.isnan(item[name]):  # an event measures nothing
            told[name] = round(float(item[name]), 6)
    return told
