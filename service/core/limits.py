"""Which limits are there? Every number of the rulebook: its default, unit and permitted range, and what it means.

All are defaults for simulation, not for clinical use. Sources: docs/rules.md.
"""

from typing import Final, NamedTuple

import numpy as np

from service.core.change import Condition


class Limit(NamedTuple):
    default: float
    unit: str
    least: float
    most: float
    meaning: str


LIMITS: Final[dict[str, dict[str, Limit]]] = {
    Condition.STALL: {
        "missed_ul": Limit(10.0, "µL", 1, 100, "volume that must have been missed"),
        "for_s": Limit(1200.0, "s", 60, 86_400, "and the time it must have lasted, in covered pump time"),
        "below_fraction": Limit(0.25, "of program", 0.05, 0.5, "flow below this counts as missed"),
        "clear_above_fraction": Limit(0.5, "of program", 0.25, 1, "flow above this counts as recovered"),
        "clear_for_s": Limit(1800.0, "s", 0, 86_400, "recovered for this long before the condition ends"),
        "clear_steps": Limit(3.0, "steps", 1, 100, "and for this many evaluation steps in a row"),
    },
    Condition.OVER_DELIVERY_GROSS: {
        "above_fraction": Limit(0.5, "of program", 0.2, 5, "flow above the program by more than this"),
        "above_ml_d": Limit(0.08, "mL/d", 0.01, 5, "and by more than this: four times the sensor's noise floor"),
        "steps": Limit(3.0, "steps", 1, 60, "evaluation steps in a row"),
        "clear_for_s": Limit(1800.0, "s", 0, 86_400, "back below for this long before the condition ends"),
        "clear_steps": Limit(3.0, "steps", 1, 100, "and for this many evaluation steps in a row"),
    },
    Condition.OVER_DELIVERY: {
        "reference": Limit(
            0.2225, "of program", 0.145, 1, "half-way from the tolerance edge (14.5 %) to the reject level (30 %)"
        ),
        "decision": Limit(0.10, "of program x h", 0.01, 10, "the cumulative sum at which the condition begins"),
        "cap": Limit(
            0.05, "of program", 0.005, 10, "the most that one hour can add: a single wild hour decides nothing"
        ),
        "clear_hours": Limit(3.0, "h", 1, 100, "hours in a row below the reference before the condition ends"),
    },
    Condition.UNDER_DELIVERY: {
        "reference": Limit(
            0.2225, "of program", 0.145, 1, "half-way from the tolerance edge (14.5 %) to the reject level (30 %)"
        ),
        "decision": Limit(0.10, "of program x h", 0.01, 10, "the cumulative sum at which the condition begins"),
        "cap": Limit(
            0.05, "of program", 0.005, 10, "the most that one hour can add: a single wild hour decides nothing"
        ),
        "clear_hours": Limit(3.0, "h", 1, 100, "hours in a row below the reference before the condition ends"),
    },
    Condition.RESERVOIR_LOW: {
        "error_fraction": Limit(
            0.076, "of delivered", 0, 0.145, "how much more than computed may have left: 95 % of N(1, 4) %"
        ),
        "low_volume_ml": Limit(2.0, "mL", 0, 20, "always low at or below this volume"),
        "low_d": Limit(14.0, "d", 0, 90, "low when the conservative time to empty is at most this"),
        "low_cycle_fraction": Limit(
            0.25, "of the refill cycle", 0, 1, "or this share of a whole reservoir's time, whichever is less"
        ),
        "medium_d": Limit(5.0, "d", 0, 90, "medium likewise"),
        "medium_cycle_fraction": Limit(0.10, "of the refill cycle", 0, 1, "or this share, whichever is less"),
        "high_d": Limit(2.0, "d", 0.5, 90, "high when the conservative time to empty is at most this"),
        "clear_ratio": Limit(1.2, "", 1, 10, "ends when time and volume are above the low limits times this"),
    },
    Condition.SILENCE: {
        "after_intervals": Limit(3.0, "intervals", 2, 100, "silent after this many of the pump's intervals"),
        "at_least_s": Limit(20.0, "s", 5, 86_400, "but not before this"),
        "medium_after_s": Limit(43_200.0, "s", 60, 604_800, "medium after this"),
        "high_after_s": Limit(86_400.0, "s", 60, 604_800, "high after this"),
    },
    "announce": {
        "delayed_after_s": Limit(
            120.0, "s", 1, 86_400, "a reading received this long after it was measured is delayed"
        ),
        "hold_s": Limit(10.0, "s", 0, 600, "a delayed finding is announced when the pump has caught up, or after this"),
    },
}

# What the rules need to know of one pump, as one row: the limits in force for it, then what its model can see.
LIMITS_ROW: Final = np.dtype(
    [(f"{section}_{name}", "f8") for section, limits in LIMITS.items() for name in limits]
    + [("flow_sensor", "f8"), ("reservoir_sensor", "f8"), ("capacity_ml", "f8"), ("interval_s", "f8")]
    + [("bolus_daily_cap_ul", "f8"), ("implanted_ms", "f8")]
)
