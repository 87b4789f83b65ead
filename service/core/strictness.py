"""Does a changed limit watch a pump less closely? Then a person has to answer for it, also for a whole class."""

from typing import Final

# Raising one of these makes its rule find less, later, or tell of it later.
_LAXER_ABOVE: Final = frozenset(
    {
        *("missed_ul", "for_s", "mri_exam_s", "mri_hold_s", "mri_restart_s"),
        *("episodes", "stop_for_s", "sensor_stop_for_s", "stop_missed_ul", "apart_s"),
        *("reference", "decision", "floor_ml_d", "burst_ul", "burst_ratio", "noise_ml_d", "volume_ul"),
        *("measured_steps", "delivered_fraction", "aspiration_ml", "beside_fraction", "short_fraction", "short_steps"),
        *("decision_ml", "least_ml", "hours", "life_y", "above_fraction", "count", "clear_fraction"),
        *("after_s", "longer_after_s", "after_intervals", "at_least_s", "medium_after_s", "high_after_s"),
        *("again_after_s", "share", "at_least", "readings"),
    }
)
# Lowering one of these does, or lets it go sooner of what it has found.
_LAXER_BELOW: Final = frozenset(
    {
        *("below_fraction", "clear_above_fraction", "clear_for_s", "clear_steps", "clear_hours", "clear_ml", "cap"),
        *("window_s", "error_fraction", "bias_fraction", "low_volume_ml", "low_d", "low_cycle_fraction"),
        *("medium_d", "medium_cycle_fraction", "high_d", "volume_ml", "low_v", "still_fraction"),
        *("within_s", "within_h", "heard_share"),
    }
)


def loosens(name: str, value: float, default: float) -> bool:
    """Whether `value` in place of `default` is less strict; where nothing above says so, any change is."""
    if value == default:
        return False
    if name in _LAXER_BELOW:
        return value < default
    if name in _LAXER_ABOVE:
        return value > default
    return True
