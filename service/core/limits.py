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
        "below_fraction": Limit(0.25, "of program", 0.15, 0.5, "flow below this counts as missed"),
        "clear_above_fraction": Limit(0.5, "of program", 0.25, 1, "flow above this counts as recovered"),
        "clear_for_s": Limit(1800.0, "s", 0, 86_400, "recovered for this long before the condition ends"),
        "clear_steps": Limit(3.0, "steps", 1, 100, "and for this many evaluation steps in a row"),
        "mri_exam_s": Limit(7200.0, "s", 600, 86_400, "an MRI of which no end is told explains a stall for this long"),
        "mri_hold_s": Limit(5400.0, "s", 0, 14_400, "a stall in an MRI may stay at its first step for this after it"),
        "mri_restart_s": Limit(300.0, "s", 0, 3600, "what the rotor may take to restart after the exam"),
    },
    Condition.STALL_FLUTTER: {
        "episodes": Limit(3.0, "stops", 2, 5, "so many short stops"),
        "window_s": Limit(86_400.0, "s", 3600, 604_800, "within this; it ends after as long without one"),
        "stop_for_s": Limit(50.0, "s", 10, 3600, "a stop lasts at least this: one evaluation step"),
        "sensor_stop_for_s": Limit(300.0, "s", 50, 3600, "or this where a sensor measures the flow: its noise is wide"),
        "stop_missed_ul": Limit(0.3, "µL", 0, 10, "and misses this: at small rates a rotor's steps are minutes apart"),
        "apart_s": Limit(300.0, "s", 0, 3600, "stops nearer together are one"),
    },
    Condition.OVER_DELIVERY_GROSS: {
        "reference": Limit(0.45, "of program", 0.2, 0.9, "flow above the program by more than this adds up"),
        "decision": Limit(0.6, "program-minutes", 0.3, 60, "to so much, in three steps at least"),
        "floor_ml_d": Limit(
            0.133, "mL/d", 0, 0.2, "a smaller program counts as this: the sensor's noise floor is 15 % of it"
        ),
        "burst_ul": Limit(50.0, "µL", 20, 1000, "or at once: so much more than programmed in one step,"),
        "burst_ratio": Limit(10.0, "times program", 2, 1000, "and so many times what was programmed"),
        "clear_for_s": Limit(1800.0, "s", 600, 86_400, "back within for this long before the condition ends"),
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
        "floor_ml_d": Limit(
            0.05, "mL/d", 0, 5, "a smaller program counts as this: noise, or a single step, is as large"
        ),
        "usual_sd": Limit(
            0.045, "of program", 0.005, 1, "where a pump's hours spread more than this, decision and cap grow with it"
        ),
        "clear_hours": Limit(3.0, "h", 1, 100, "hours in a row below the reference before the condition ends"),
    },
    Condition.UNDER_DELIVERY_GROSS: {
        "reference": Limit(0.45, "of program", 0.2, 0.9, "flow below the program by more than this adds up"),
        "decision": Limit(0.6, "program-minutes", 0.3, 60, "to so much, in three steps at least"),
        "floor_ml_d": Limit(
            0.133, "mL/d", 0, 5, "a smaller program counts as this: the sensor's noise floor is 15 % of it"
        ),
        "clear_for_s": Limit(1800.0, "s", 600, 86_400, "back within for this long before the condition ends"),
        "clear_steps": Limit(3.0, "steps", 1, 100, "and for this many evaluation steps in a row"),
    },
    Condition.UNDER_DELIVERY: {
        "reference": Limit(
            0.2225, "of program", 0.145, 1, "half-way from the tolerance edge (14.5 %) to the reject level (30 %)"
        ),
        "rotor_reference": Limit(
            0.08, "of program", 0.02, 1, "the same for a rotor, which counts its steps exactly: one hour may decide"
        ),
        "decision": Limit(0.10, "of program x h", 0.01, 10, "the cumulative sum at which the condition begins"),
        "cap": Limit(
            0.05, "of program", 0.005, 10, "the most that one hour can add: a single wild hour decides nothing"
        ),
        "floor_ml_d": Limit(
            0.05, "mL/d", 0, 5, "a smaller program counts as this: noise, or a single step, is as large"
        ),
        "usual_sd": Limit(
            0.045, "of program", 0.005, 1, "where a pump's hours spread more than this, decision and cap grow with it"
        ),
        "clear_hours": Limit(3.0, "h", 1, 100, "hours in a row below the reference before the condition ends"),
    },
    Condition.FLOW_WHILE_STOPPED: {
        "noise_ml_d": Limit(0.02, "mL/d", 0, 1, "what a sensor may count while nothing moves: its noise floor"),
        "volume_ul": Limit(0.5, "µL", 0.1, 1000, "delivered beyond that since nothing is programmed"),
        "clear_for_s": Limit(1800.0, "s", 600, 86_400, "standing still, or programmed, for this long before it ends"),
        "clear_steps": Limit(3.0, "steps", 1, 100, "and for this many evaluation steps in a row"),
    },
    Condition.RESERVOIR_LOW: {
        "error_fraction": Limit(
            0.076, "of delivered", 0, 0.145, "how much more than computed may have left: 95 % of N(1, 4) %"
        ),
        "bias_fraction": Limit(0.01, "of delivered", -0.1, 0.1, "how much more than computed leaves a pump on average"),
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
    Condition.RESERVOIR_EMPTY: {
        "volume_ml": Limit(0.2, "mL", 0.1, 5, "empty at or below this"),
        "measured_steps": Limit(3.0, "steps", 1, 60, "evaluation steps in a row, where the level is measured"),
        "clear_ml": Limit(0.5, "mL", 0.2, 20, "level above this counts as filled"),
        "clear_for_s": Limit(1800.0, "s", 0, 86_400, "filled for this long before the condition ends"),
        "clear_steps": Limit(3.0, "steps", 1, 100, "and for this many evaluation steps in a row"),
    },
    Condition.REFILL_MISMATCH: {
        "delivered_fraction": Limit(
            0.145, "of delivered", 0.05, 1, "what is drawn off may differ from what should be left by this,"
        ),
        "aspiration_ml": Limit(0.9, "mL", 0.1, 5, "and by three standard deviations of drawing off"),
        "beside_fraction": Limit(
            0.3,
            "of put in",
            0.05,
            1,
            "less than expected by so much: the refill before may have gone beside the pump",
        ),
        "within_s": Limit(86_400.0, "s", 600, 604_800, "a measured level tells of its refill for this long"),
        "short_fraction": Limit(
            0.05, "of capacity", 0.01, 0.5, "the measured level below what was put in by more than this"
        ),
        "short_steps": Limit(3.0, "steps", 1, 60, "on the mean of this many evaluation steps after the refill"),
    },
    Condition.LEVEL_DEVIATION: {
        "reference": Limit(
            0.2225, "of delivered", 0.145, 1, "half-way from the tolerance edge (14.5 %) to the reject level (30 %)"
        ),
        "decision_ml": Limit(0.5, "mL", 0.05, 10, "the level is off by this beyond the reference"),
        "clear_ratio": Limit(0.5, "", 0, 0.9, "over while it is off by less than this share of the decision,"),
        "clear_hours": Limit(3.0, "h", 1, 100, "in so many hours in a row"),
        "least_ml": Limit(0.5, "mL", 0, 5, "a level below this says nothing: the pump may be running dry"),
    },
    Condition.BATTERY_LOW: {
        "low_v": Limit(2.6, "V", 1, 4, "voltage below this at an hour's end"),
        "hours": Limit(3.0, "h", 1, 100, "in so many hours in a row"),
        "deadband_v": Limit(0.05, "V", 0, 1, "over when it has risen above by this for as many hours"),
        "service_d": Limit(90.0, "d", 1, 365, "what the battery then still lasts"),
        "life_y": Limit(7.0, "years", 1, 20, "the longest that a pump serves after its implantation"),
        "medium_d": Limit(30.0, "d", 1, 365, "medium when so much is left of it"),
        "high_d": Limit(7.0, "d", 1, 365, "high when so much is left of it"),
    },
    Condition.BATTERY_END: {
        "still_fraction": Limit(
            0.25, "of program", 0, 0.5, "past its service, a pump that delivers less than this in an hour has ended"
        ),
        "clear_hours": Limit(3.0, "h", 1, 100, "hours in a row without a reason before the condition ends"),
    },
    Condition.STOPPED_LONG: {
        "after_s": Limit(86_400.0, "s", 3_600, 604_800, "nothing has been programmed for so long"),
        "longer_after_s": Limit(172_800.0, "s", 3_600, 604_800, "more urgent after this"),
        "clear_for_s": Limit(1800.0, "s", 0, 86_400, "programmed again for this long before the condition ends"),
    },
    Condition.BOLUS_CAP: {
        "above_fraction": Limit(0.01, "of the cap", 0, 1, "boluses of 24 h above the pump's own cap by more than this"),
        "clear_fraction": Limit(0.9, "of the cap", 0.1, 1, "ends below this, after a whole hour"),
    },
    Condition.BOLUS_DENIED: {
        "count": Limit(3.0, "denials", 1, 8, "in 24 h"),
    },
    Condition.MEMORY_ERROR: {
        "clear_hours": Limit(1.0, "h", 1, 100, "whole hours since the pump has said that it is over"),
    },
    Condition.SILENCE: {
        "after_intervals": Limit(3.0, "intervals", 2, 100, "silent after this many of the pump's intervals"),
        "at_least_s": Limit(20.0, "s", 5, 86_400, "but not before this"),
        "medium_after_s": Limit(43_200.0, "s", 60, 604_800, "medium after this"),
        "high_after_s": Limit(86_400.0, "s", 60, 604_800, "high after this"),
        "again_after_s": Limit(600.0, "s", 0, 86_400, "having ended, it does not begin again before this"),
    },
    Condition.SITE_SILENCE: {
        "share": Limit(0.8, "of pumps", 0.5, 1, "so many of a site's pumps fell silent together,"),
        "at_least": Limit(5.0, "pumps", 2, 1000, "and at least these"),
        "window_intervals": Limit(
            2.0, "intervals", 1, 20, "a pump was cut off within so many of its intervals; its own silence waits as long"
        ),
        "heard_share": Limit(0.5, "of pumps", 0, 0.9, "ends when more than this are heard again"),
        "high_after_s": Limit(43_200.0, "s", 60, 604_800, "high after this"),
    },
    Condition.TELEMETRY_LOCK: {
        "after_s": Limit(7_200.0, "s", 600, 86_400, "nothing heard for this long while a stall's alert is active"),
    },
    Condition.SEQUENCE_GAP: {
        "readings": Limit(10.0, "readings", 1, 100_000, "lost for good within the hours below"),
        "within_h": Limit(24.0, "h", 1, 168, "ends when none was lost for this long"),
    },
    Condition.NOT_WATCHING: {
        "after_s": Limit(60.0, "s", 15, 3_600, "a shard has not been caught up for this long"),
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
    + [("bolus_daily_cap_ul", "f8"), ("implanted_ms", "f8"), ("mri_from_ms", "f8"), ("mri_until_ms", "f8")]
)
