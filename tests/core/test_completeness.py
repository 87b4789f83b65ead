"""The books of a pump's sequence: whatever was sent, stored and lost, they close."""

from datetime import UTC, datetime, timedelta
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from service.core.completeness import Books, Missing, Run, Where, books_of
from service.core.reading import position_of
from service.core.sequence import Gap

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(position: int) -> datetime:
    return NOON + timedelta(days=position >> 40, minutes=position & 0xFFFF)


def run(boot: int, first: int, last: int) -> Run:
    low, high = position_of(boot, first), position_of(boot, last)
    return Run(low, high, at(low), at(high))


def books(*runs: Run, before: int | None = None, gaps: tuple[Gap, ...] = (), through: int = 1 << 60) -> Books:
    return books_of(runs, before=before, gaps=gaps, claims=[], through=through)


def test_what_is_missing_is_between_what_is_stored_and_at_the_beginning_of_a_later_boot() -> None:
    closed = books(run(1, 5, 9), run(1, 12, 20), run(3, 2, 4))
    assert [(span.first, span.last) for span in closed.missing] == [
        (position_of(1, 10), position_of(1, 11)),
        (position_of(3, 0), position_of(3, 1)),
    ]
    assert (closed.sent, closed.stored, closed.reboots) == (21, 17, 1)
    assert [(boot.boot, boot.stored) for boot in closed.boots] == [(1, 14), (3, 3)]
    assert closed.completeness == 17 / 21


def test_a_position_in_quarantine_is_there_even_where_the_pump_has_let_it_go() -> None:
    lost = Gap(position_of(1, 10), position_of(1, 12), lost=True)
    closed = books_of(
        [run(1, 0, 9), run(1, 16, 20)],
        before=None,
        gaps=[lost],
        claims=[(position_of(1, 11), position_of(1, 13)), (position_of(1, 21), position_of(1, 22))],
        through=position_of(1, 14),
    )
    first = position_of(1, 0)
    assert [Missing(span.first - first, span.last - first, span.where) for span in closed.missing] == [
        (10, 10, Where.LOST),
        (11, 13, Where.QUARANTINED),
        (14, 14, Where.UNACCOUNTED),
        (15, 15, Where.AWAITED),
        (21, 22, Where.QUARANTINED),
    ]
    assert closed.sent == 23


def test_before_the_first_of_all_only_what_the_ledger_names_is_missing() -> None:
    gap = Gap(position_of(1, 2), position_of(1, 4), lost=True)
    assert books(run(1, 5, 9), gaps=(gap,)).sent == 8
    assert books(run(1, 6, 9), gaps=(gap,)).sent == 4
    assert books(run(1, 6, 9), before=position_of(1, 3)).sent == 6
    assert books() == Books(0, (), ())
    assert books().completeness is None


@given(
    st.lists(st.sampled_from(["stored", "lost", "quarantined", "awaited"]), min_size=1, max_size=40),
    st.integers(0, 40),
)
def test_the_books_close_on_any_sequence_and_adjacent_spans_add_up(fates: list[str], cut: int) -> None:
    fates = ["stored", *fates, "stored"]
    spans = [(fate, [seq for seq, _ in group]) for fate, group in groupby(enumerate(fates), lambda each: each[1])]
    runs = [run(1, seqs[0], seqs[-1]) for fate, seqs in spans if fate == "stored"]
    gaps = [
        Gap(position_of(1, seqs[0]), position_of(1, seqs[-1]), lost=fate == "lost")
        for fate, seqs in spans
        if fate in {"lost", "awaited"}
    ]
    claims = [(position_of(1, seqs[0]), position_of(1, seqs[-1])) for fate, seqs in spans if fate == "quarantined"]

    def closed(runs: list[Run], before: int | None = None, *, newest: bool = True) -> Books:
        through = position_of(1, len(fates))
        return books_of(runs, before=before, gaps=gaps, claims=claims, through=through, newest=newest)

    whole = closed(runs)
    assert whole.sent == len(fates)
    assert whole.stored == fates.count("stored")
    assert {where: whole.count(where) for where in Where} == {where: fates.count(where) for where in Where}
    cut %= len(runs)
    parts = [closed(runs[:cut], newest=False), closed(runs[cut:], runs[cut - 1].last if cut else None)]
    assert sum(part.sent for part in parts) == whole.sent
