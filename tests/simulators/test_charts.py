"""A chart is whole, reads nothing from elsewhere, and shows what it was given."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.charts import HEIGHT, WIDTH, Line, Stretch, chart

VALUES = st.one_of(st.none(), st.floats(0, 1e9, allow_nan=False))


@given(st.lists(VALUES, max_size=30))
def test_whatever_the_values_every_point_is_on_the_page(values: list[float | None]) -> None:
    drawn = chart("a <title> & more", "ms", [float(at) for at in range(len(values))], [Line("p99", 0, values)])

    assert "<title>a &lt;title&gt; &amp; more</title>" in drawn
    for points in re.findall('points="([^"]*)"', drawn):
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def test_a_gap_is_left_open_and_a_stretch_is_named() -> None:
    lines = [Line("a", 0, [1.0, 2.0, None, 4.0, 5.0]), Line("b", 1, [None, 1.0, None, None, None])]
    drawn = chart("t", "a second", [0.0, 10.0, 20.0, 30.0, 40.0], lines, [Stretch("storm", 20.0)])

    assert len(re.findall('class="line k0"', drawn)) == 2
    assert len(re.findall('class="dot k1"', drawn)) == 1
    assert ">storm<" in drawn
    assert ">0:40<" in drawn


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(0.0, ["0", "1"]), (7.0, ["0", "2", "4", "6", "8"]), (1700.0, ["0", "500", "1,000", "1,500", "2,000"])],
)
def test_ticks_are_round_numbers_that_reach_above_the_highest_value(most: float, ticks: list[str]) -> None:
    drawn = chart("t", "", [0.0, 1.0], [Line("a", 0, [0.0, most])])

    assert re.findall(r'class="tick"[^>]*text-anchor="end">([^<]*)<', drawn) == ticks
