"""Runs of positions: sorted, disjoint, joined where they touch, never across a boot."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from service.core.reading import MAX_SEQ, position_of
from service.core.spans import Span, find, insert, joins, without


@given(st.permutations(range(40)), st.integers(1, 40))
def test_runs_hold_just_what_was_entered_whatever_the_order(order: list[int], count: int) -> None:
    entered, spans = order[:count], []
    for seq in entered:
        position = position_of(1, seq)
        assert find(spans, position) is None
        before, joined = len(spans), joins(spans, -2, position)
        insert(spans, position)
        assert (len(spans) <= before) == joined
    assert [position for first, last in spans for position in range(first, last + 1)] == sorted(
        position_of(1, seq) for seq in entered
    )
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(spans))


def test_a_run_ends_with_its_boot() -> None:
    spans: list[Span] = []
    for position in (position_of(1, MAX_SEQ), position_of(2, 0)):
        insert(spans, position)
    assert len(spans) == 2


def test_a_run_without_one_of_its_positions_is_what_lies_on_either_side() -> None:
    assert without((3, 7), 5) == [(3, 4), (6, 7)]
    assert without((3, 7), 3) == [(4, 7)]
    assert without((3, 3), 3) == []
