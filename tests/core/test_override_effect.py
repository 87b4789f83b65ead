"""Whoever sets a value is told beforehand what it changes."""

import pytest

from service.core.change import Condition, Priority
from service.core.explanation import default_of
from service.core.limits import LIMITS
from service.core.override import Value
from service.core.override_effect import Effect, effect_of
from service.core.reading import DrugClass

HIGH, MEDIUM, LOW = Priority.HIGH, Priority.MEDIUM, Priority.LOW


@pytest.mark.parametrize(
    ("key", "value", "default", "effect"),
    [
        ("missed_ul", 10.0, 10.0, Effect.NONE),
        ("missed_ul", 20.0, 10.0, Effect.LESS),
        ("missed_ul", 5.0, 10.0, Effect.MORE),
        ("below_fraction", 0.15, 0.25, Effect.LESS),
        ("below_fraction", 0.4, 0.25, Effect.MORE),
        ("enabled", False, True, Effect.SILENT),
        ("shadow", True, False, Effect.SILENT),
        ("priority", (LOW, HIGH), (MEDIUM, HIGH), Effect.LESS_URGENT),
        ("priority", (HIGH, HIGH), (MEDIUM, HIGH), Effect.MORE_URGENT),
    ],
)
def test_an_override_says_in_which_direction_it_goes(key: str, value: Value, default: Value, effect: Effect) -> None:
    assert effect_of(key, value, default) is effect


def test_every_limit_of_the_rulebook_has_an_effect_in_both_directions() -> None:
    for section, limits in LIMITS.items():
        for key, limit in limits.items():
            default = default_of(section, key, DrugClass.UNKNOWN)
            effects = {effect_of(key, end, default) for end in (limit.least, limit.most)}
            assert effects <= {Effect.NONE, Effect.LESS, Effect.MORE}, f"{section}.{key}"
            assert effects != {Effect.NONE}, f"{section}.{key}"
    assert default_of(Condition.STALL, "enabled", DrugClass.UNKNOWN) is True
