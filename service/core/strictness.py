"""Does a changed limit watch a pump less closely? Then a person has to answer for it, also for a whole class."""

from typing import Final

# Raising one of these makes the rule find less, later, or let go of it sooner.
_LAXER_ABOVE: Final = (
    *("missed", "for_", "above_", "after_", "at_least", "steps", "reference", "decision", "least_", "within_"),
    *("medium_after", "high_after", "hold_"),
)
# Lowering one of these does.
_LAXER_BELOW: Final = (
    *("below_", "clear_", "cap", "error_fraction", "low_volume", "low_d", "low_cycle", "medium_d", "medium_cycle"),
    *("high_d",),
)


def loosens(name: str, value: float, default: float) -> bool:
    """Whether `value` in place of `default` is less strict; where that cannot be told, any change is taken for it."""
    if value == default:
        return False
    if name.startswith(_LAXER_BELOW):
        return value < default
    if name.startswith(_LAXER_ABOVE):
        return value > default
    return True
