"""Who may ask once more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.allowance import Allowance


def test_so_many_at_once_and_so_many_a_second_from_then_on() -> None:
    allowance = Allowance(a_second=2, at_once=10)
    assert [allowance.take("ada", 100.0) for _ in range(10)] == [0.0] * 10
    assert allowance.take("ada", 100.0) == pytest.approx(0.5)
    assert allowance.take("ada", 100.0) == pytest.approx(0.5), "who is refused is not put off by it"
    assert allowance.take("eve", 100.0) == 0.0, "each has an allowance of his own"
    assert allowance.take("ada", 100.5) == 0.0
    assert allowance.take("ada", 100.5) > 0
    assert [allowance.take("ada", 105.5) for _ in range(11)].count(0.0) == 10, "more than was there is never saved"


def test_what_is_given_back_can_be_taken_again() -> None:
    allowance = Allowance(a_second=1, at_once=1)
    assert allowance.take("ada", 0.0) == 0.0
    allowance.give_back("ada")
    allowance.give_back("nobody")
    assert allowance.take("ada", 0.0) == 0.0
    assert allowance.take("ada", 0.0) > 0


def test_nothing_a_second_is_no_limit_and_keeps_nothing() -> None:
    allowance = Allowance(a_second=0, at_once=0)
    assert {allowance.take(n % 3, 0.0) for n in range(1000)} == {0.0}
    assert len(allowance) == 0


def test_however_many_ask_no_more_are_kept_and_those_that_asked_last_are() -> None:
    allowance = Allowance(a_second=1, at_once=1, most_kept=100)
    allowance.take("busy", 0.0)
    for n in range(10_000):
        allowance.take(n, 0.0)
        assert allowance.take("busy", 0.0) > 0
        assert len(allowance) <= 100


@given(st.lists(st.floats(0, 2, allow_nan=False), max_size=60), st.integers(1, 5), st.integers(1, 9))
def test_in_no_span_is_more_let_through_than_what_is_there_at_once_and_grows_in_it(
    pauses_s: list[float], a_second: int, at_once: int
) -> None:
    allowance = Allowance(a_second, at_once)
    now_s, taken_at_s = 0.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        wait_s = allowance.take("ada", now_s)
        if not wait_s:
            taken_at_s.append(now_s)
    for first, begin_s in enumerate(taken_at_s):
        for last, end_s in enumerate(taken_at_s[first:], first):
            assert last - first + 1 <= at_once + (end_s - begin_s) * a_second + 1e-6
