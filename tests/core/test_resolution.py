"""From what a chart is drawn: as fine as asked, at a bounded number of rows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.resolution import DAY, HOUR, READINGS_A_CHART, Source, gap_after, plan

UNTIL = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "points", "source", "width"),
    [
        (timedelta(hours=2), 500, Source.RAW, timedelta(0)),
        (timedelta(days=1), 500, Source.RAW, timedelta(seconds=172, milliseconds=800)),
        (timedelta(days=30), 1000, Source.HOUR, HOUR),
        (timedelta(days=30), 100, Source.HOUR, 8 * HOUR),
        (timedelta(days=365), 500, Source.HOUR, 18 * HOUR),
        (timedelta(days=1500), 500, Source.DAY, 3 * DAY),
    ],
)
def test_a_minute_by_minute_pump_is_shown_from_what_suits_the_span(
    span: timedelta, points: int, source: Source, width: timedelta
) -> None:
    chosen = plan(UNTIL - span, UNTIL, points, 60.0)
    assert (chosen.source, chosen.width) == (source, width)
    assert UNTIL - span - source.width <= chosen.begins <= UNTIL - span


@given(
    st.timedeltas(min_value=timedelta(milliseconds=1), max_value=timedelta(days=36_500)),
    st.integers(1, 10_000),
    st.floats(0.1, 86_400),
    st.sampled_from([None, *Source]),
)
def test_there_are_never_more_points_than_asked_for_but_one_that_is_cut(
    span: timedelta, points: int, interval_s: float, source: Source | None
) -> None:
    chosen = plan(UNTIL - span, UNTIL, points, interval_s, source)
    if chosen.width:
        assert (UNTIL - chosen.begins) / chosen.width <= points + 1
        assert not chosen.source.width or chosen.width % chosen.source.width == timedelta(0)
    else:
        assert span / timedelta(seconds=interval_s) <= points
    if source is None and chosen.source is Source.RAW:
        assert span / timedelta(seconds=interval_s) <= READINGS_A_CHART


def test_a_gap_is_three_spacings_long_or_as_long_as_a_point() -> None:
    assert gap_after(60.0, timedelta(0)) == timedelta(minutes=3)
    assert gap_after(60.0, HOUR) == HOUR
