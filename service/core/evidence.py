"""Why does an alert exist? The limits, the statistic and the readings' last values that made its condition begin."""

import numpy as np
import numpy.typing as npt

from service.core.change import Condition
from service.core.limits import LIMITS
from service.core.state import Field

_STATISTICS: dict[Condition, dict[str, Field]] = {
    Condition.STALL: {"stalled_ms": Field.STALL_MS, "behind_ul": Field.STALL_UL},
    Condition.OVER_DELIVERY_GROSS: {"steps_above": Field.OVER_DELIVERY_GROSS_STEPS},
    Condition.OVER_DELIVERY: {"cusum": Field.OVER_DELIVERY_SUM, "deviation": Field.DEVIATION},
    Condition.UNDER_DELIVERY: {"cusum": Field.UNDER_DELIVERY_SUM, "deviation": Field.DEVIATION},
    Condition.RESERVOIR_LOW: {"empty_in_d": Field.EMPTY_IN_D, "full_ml": Field.FULL_ML, "rate_ml_d": Field.RATE_ML_D},
}


def evidence_of(
    condition: Condition, state: npt.NDArray[np.float64], limits: np.void, item: np.void
) -> dict[str, float | int | str]:
    """One pump's `state` [field], `limits` and `item` as they are once the condition has turned.

    Keys: `limit_…` as in the rulebook, the condition's statistics, and the values of the reading that decided. For a
    stall `missed_ul` is the volume that was programmed and not delivered.
    """
    told: dict[str, float | int | str] = {
        f"limit_{name}": float(limits[f"{condition}_{name}"]) for name in LIMITS.get(condition, {})
    }
    told |= {name: round(float(state[field]), 6) for name, field in _STATISTICS.get(condition, {}).items()}
    if condition is Condition.STALL:
        told["missed_ul"] = round(float(state[Field.STALL_UL]) / float(limits["stall_below_fraction"]), 3)
    for name in ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v"):
        if not np.isnan(item[name]):  # an event measures nothing
            told[name] = round(float(item[name]), 6)
    return told
