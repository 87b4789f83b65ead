"""A change that watches a pump less closely is known as such; one of which that cannot be told is taken for it."""

import pytest

from service.core.limits import LIMITS
from service.core.strictness import loosens


@pytest.mark.parametrize(
    ("name", "stricter", "default", "laxer"),
    [("missed_ul", 8, 10, 12), ("for_s", 600, 1200, 1201), ("below_fraction", 0.3, 0.25, 0.2), ("low_d", 20, 14, 10)],
)
def test_less_is_found_or_later(name: str, stricter: float, default: float, laxer: float) -> None:
    assert [loosens(name, value, default) for value in (stricter, default, laxer)] == [False, False, True]


def test_what_is_not_known_is_taken_for_less_close_and_the_default_never_is() -> None:
    assert loosens("no_such_limit", 1, 2)
    assert loosens("no_such_limit", 3, 2)
    assert not any(loosens(name, limit.default, limit.default) for of in LIMITS.values() for name, limit in of.items())
