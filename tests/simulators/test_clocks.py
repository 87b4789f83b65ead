"""A pump's clock is wrong by parts in a million, and somebody sets it before that matters."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.clocks import SET_AT_MS, Clock
from tests.simulators.bench import DAY_MS, HOUR_MS, NOON_MS


@pytest.mark.parametrize("ppm", [-50, -7, 0, 20, 50])
def test_a_clock_drifts_by_its_parts_in_a_million_on_both_sides_of_where_it_is_right(ppm: int) -> None:
    clock = Clock(NOON_MS, ppm * 1000)

    assert clock.off_ms(NOON_MS) == 0
    assert clock.off_ms(NOON_MS + DAY_MS) == pytest.approx(86.4 * ppm, abs=1)
    assert clock.off_ms(NOON_MS - DAY_MS) == pytest.approx(-86.4 * ppm, abs=1)


def test_it_is_set_whenever_it_is_twenty_seconds_off_and_what_it_showed_before_is_told() -> None:
    for ppm in (-50, 50):
        clock = Clock(NOON_MS, ppm * 1000)
        settings = list(clock.settings(NOON_MS - DAY_MS, NOON_MS + 20 * DAY_MS))

        assert [(at - NOON_MS) / DAY_MS for at, _ in settings] == pytest.approx([4.63, 9.26, 13.89, 18.52], abs=0.01)
        for at_ms, before_ms in settings:
            assert before_ms - at_ms == pytest.approx(SET_AT_MS * ppm / 50, abs=2)
            assert clock.off_ms(at_ms) == 0


def test_a_clock_that_nobody_sets_goes_on() -> None:
    clock = Clock(NOON_MS, 50_000, is_set=False)

    assert list(clock.settings(0, NOON_MS * 2)) == []
    assert clock.off_ms(NOON_MS + 100 * DAY_MS) == 432_000


@given(
    st.integers(-50_000, 50_000),
    st.lists(st.integers(-10 * DAY_MS, 40 * DAY_MS), min_size=1, max_size=20).map(sorted),
    st.booleans(),
)
def test_several_times_at_once_are_shown_as_each_alone(ppb: int, after_ms: list[int], is_set: bool) -> None:  # noqa: FBT001
    clock = Clock(NOON_MS, ppb, is_set)
    times = [NOON_MS + each for each in after_ms]

    assert clock.shown_ms(times) == [each + clock.off_ms(each) for each in times]
    assert all(abs(clock.off_ms(each)) <= SET_AT_MS + 1 for each in times if each >= NOON_MS and is_set)


def test_hours_are_an_hour_long_to_the_millisecond_or_two() -> None:
    clock = Clock(NOON_MS, 30_000)
    shown = clock.shown_ms([NOON_MS + hour * HOUR_MS for hour in range(24)])

    assert {round((b - a - HOUR_MS) / 108) for a, b in pairwise(shown)} == {1}
