"""The sequence ledger: nothing twice, nothing receipted that is not held, every hole named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.ledger import (
    MOST_SPANS,
    NOTHING,
    PATIENCE_MS,
    Account,
    Admitted,
    Gap,
    Ledger,
    admit,
    receipt_of,
    restore,
    wait_no_longer,
)
from service.core.reading import MAX_SEQ, boot_of, position_of

FIRST = position_of(1, 0)


def at(seq: int, boot: int = 1) -> int:
    return position_of(boot, seq)


def seen(account: Account, judged: Admitted, positions: list[int]) -> Account:
    """The account once what may be evaluated has been."""
    if judged.now:
        new = [
            p for p, stored in zip(positions, judged.stored, strict=True) if stored and p <= judged.account.may_evaluate
        ]
        return replace(judged.account, evaluated=max([account.evaluated, judged.account.evaluated, *new]))
    return replace(judged.account, evaluated=max(judged.account.evaluated, judged.account.may_evaluate))


def after(*batches: list[int], held_from: int = FIRST, now_ms: int = 0) -> Account:
    account = Account()
    for batch in batches:
        account = seen(account, admit(account, batch, held_from, now_ms), batch)
    return account


def test_positions_that_go_on_are_receipted_at_once() -> None:
    account = after([at(0), at(1)], [at(2)])
    assert (account.through, account.evaluated, account.islands) == (at(2), at(2), ())


def test_a_receipt_stops_at_a_hole_and_goes_on_when_it_closes() -> None:
    account = after([at(0)], [at(2), at(3)])
    assert account.through == at(0)
    judged = admit(account, [at(1)], FIRST, 0)
    assert (judged.account.through, judged.from_store, judged.now) == (at(3), True, False)


def test_what_came_before_is_a_duplicate_wherever_it_lies() -> None:
    account = after([at(0), at(1)], [at(5)])
    judged = admit(account, [at(0), at(1), at(2), at(5), at(5), at(6)], FIRST, 0)
    assert judged.stored == [False, False, True, False, False, True]


def test_after_patience_evaluation_goes_on_and_the_gap_is_named() -> None:
    account = after([at(0)], [at(5)])
    assert wait_no_longer(account, PATIENCE_MS - 1) is None
    given_up = wait_no_longer(account, PATIENCE_MS)
    assert given_up is not None
    assert given_up.through == at(0)
    assert given_up.may_evaluate == at(5)
    assert given_up.missing == [Gap(at(1), at(4), lost=False)]


def test_what_fills_a_hole_after_patience_is_late_and_rebuilds_the_pump() -> None:
    given_up = wait_no_longer(after([at(0)], [at(5)]), PATIENCE_MS)
    assert given_up is not None
    judged = admit(replace(given_up, evaluated=at(5)), [at(1), at(2), at(3), at(4)], FIRST, PATIENCE_MS)
    assert judged.rebuild_from == at(1)
    assert judged.account.through == at(5)
    assert judged.account.missing == []


def test_a_hole_that_the_pump_no_longer_holds_is_lost_and_blocks_nothing() -> None:
    judged = admit(after([at(0)]), [at(4), at(5)], at(4), 0)
    assert judged.account.through == at(5)
    assert judged.account.missing == [Gap(at(1), at(3), lost=True)]
    assert judged.now


def test_what_was_lost_and_comes_all_the_same_is_stored() -> None:
    before = after([at(0)])
    account = seen(before, admit(before, [at(4)], at(4), 0), [at(4)])
    late = admit(account, [at(2)], at(4), 0)
    assert (late.stored, late.rebuild_from) == ([True], at(2))
    assert late.account.missing == [Gap(at(1), at(1), lost=True), Gap(at(3), at(3), lost=True)]


def test_a_reboot_is_not_a_gap() -> None:
    judged = admit(after([at(0), at(1)]), [at(0, boot=2), at(1, boot=2)], at(0, boot=2), 0)
    assert judged.account.through == at(1, boot=2)
    assert judged.account.missing == []


def test_a_reboot_waits_for_what_the_pump_still_holds_of_the_boot_before() -> None:
    judged = admit(after([at(0), at(1)]), [at(0, boot=2)], at(2), 0)
    assert judged.account.through == at(1)
    judged = admit(judged.account, [at(2), at(3)], at(2), 0)
    assert judged.account.through == at(3)
    judged = admit(judged.account, [at(1, boot=2)], at(0, boot=2), 0)
    assert judged.account.through == at(1, boot=2)


def test_the_end_of_an_earlier_boot_and_the_begin_of_a_later_one_may_be_lost() -> None:
    judged = admit(after([at(0)]), [at(7, boot=3)], at(5, boot=3), 0)
    assert judged.account.missing == [Gap(at(0, boot=3), at(4, boot=3), lost=True)]
    assert judged.account.through == at(4, boot=3)


def test_a_pump_first_heard_in_the_middle_begins_there() -> None:
    assert after([at(700)], held_from=at(700)).through == at(700)
    assert after([at(700)], held_from=NOTHING).through == at(700)
    assert after([at(700)], held_from=at(690)).through == at(689)


def test_while_the_first_reading_of_a_boot_is_missing_the_receipt_covers_the_boots_before_it() -> None:
    assert receipt_of(NOTHING) is None
    assert receipt_of(at(0) - 1) == (0, MAX_SEQ)
    assert receipt_of(at(0)) == (1, 0)


def test_what_an_earlier_boot_said_and_was_never_stored_is_late_and_what_was_stored_a_duplicate() -> None:
    began = after([position_of(1, seq) for seq in range(5)])
    rebooted = admit(replace(began, evaluated=position_of(1, 4)), [position_of(2, 0)], position_of(2, 0), 0).account
    assert rebooted.through == position_of(2, 0)
    late = [position_of(1, seq) for seq in (3, 4, 5, 6)]
    judged = admit(rebooted, late, NOTHING, 0, never_stored={position_of(1, 5), position_of(1, 6)})
    assert judged.stored == [False, False, True, True]
    assert (judged.rebuild_from, judged.account.through) == (position_of(1, 5), position_of(2, 0))
    twice = admit(rebooted, [position_of(1, 5)] * 2, NOTHING, 0, never_stored={position_of(1, 5)})
    assert twice.stored == [True, False]


arrivals = st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.integers(0, 11)), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(arrivals)
def test_whatever_comes_in_whatever_order_over_boots_is_stored_exactly_once(said: list[tuple[int, int]]) -> None:
    account = admit(Account(), [position_of(1, 0)], position_of(1, 0), 0).account
    store = {position_of(1, 0)}
    for boot, seq in said:
        position = position_of(boot, seq)
        never_stored = {position} - store if boot < boot_of(account.through) else set()
        judged = admit(account, [position], NOTHING, 0, never_stored=never_stored)
        assert judged.stored == [position not in store]
        account = judged.account
        store.add(position)


@settings(max_examples=400, deadline=None)
@given(
    order=st.permutations(range(20)),
    repeats=st.lists(st.integers(0, 19), max_size=10),
    sizes=st.lists(st.integers(1, 6), min_size=1),
)
def test_any_order_any_batching_stores_each_position_once_and_ends_alike(
    order: list[int], repeats: list[int], sizes: list[int]
) -> None:
    every = [at(seq) for seq in range(12)] + [at(seq, boot=3) for seq in range(8)]
    arriving = [every[index] for index in [*order, *repeats]]
    account, stored, now_ms = Account(), [], 0
    while arriving:
        size = sizes[len(arriving) % len(sizes)]
        batch, arriving = sorted(arriving[:size]), arriving[size:]
        judged = admit(account, batch, FIRST, now_ms)
        stored += [p for p, new in zip(batch, judged.stored, strict=True) if new]
        held = set(stored)
        assert all(p in held for p in every if p <= judged.account.through), "a receipt covers what is not stored"
        account = seen(account, judged, batch)
        now_ms += 20_000
    assert sorted(stored) == every
    last = at(8, boot=3)
    judged = admit(account, [last], last, now_ms)
    assert (judged.account.through, judged.account.islands, judged.account.missing) == (last, (), [])


@settings(max_examples=200, deadline=None)
@given(stored=st.sets(st.integers(0, 30), min_size=1), checkpoint=st.integers(-1, 30))
def test_a_restart_finds_the_account_that_was(stored: set[int], checkpoint: int) -> None:
    before = after([at(seq) for seq in sorted(stored)])
    kept = min(at(0) + checkpoint, before.through)
    runs = [(position, position) for position in map(at, sorted(stored)) if position > kept]
    joined: list[tuple[int, int]] = []
    for first, last in runs:
        if joined and joined[-1][1] == first - 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    found = restore(kept, kept, joined, [], 0)
    assert (found.through, found.islands) == (before.through, before.islands)


def plan(ledger: Ledger, row: int, *positions: int, held_from: int = FIRST, now_ms: int = 0):  # noqa: ANN201
    count = len(positions)
    rows, wanted = np.full(count, row, np.intp), np.array(positions, np.int64)
    admission = ledger.plan(rows, wanted, np.full(count, held_from, np.int64), now_ms)
    ledger.publish(np.array([row], np.intp), admission)
    ledger.evaluated[row] = max(ledger.evaluated[row], *(wanted[admission.evaluated].tolist() or [NOTHING]))
    return admission


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(3)


def test_the_columns_and_the_single_accounts_judge_alike(ledger: Ledger) -> None:
    plan(ledger, 1, at(0), at(1))
    assert plan(ledger, 1, at(2), at(3)).accounts == {}, "in order: nobody looked at it alone"
    admission = plan(ledger, 1, at(3), at(5))
    assert (admission.duplicates, admission.repeated, admission.holes_noticed) == (1, [1], [1])
    assert plan(ledger, 1, at(4)).holes_closed == [1]
    assert ledger.through[1] == at(5)


def test_pumps_that_only_repeat_and_go_on_are_judged_together_and_as_they_would_be_alone(ledger: Ledger) -> None:
    for row in range(3):
        plan(ledger, row, at(0), at(1), at(2))
    plan(ledger, 2, at(4), held_from=at(4))  # what lies before it is lost
    rows = np.array([0, 0, 0, 0, 1, 1, 2, 2], np.intp)
    positions = np.array([at(1), at(2), at(3), at(3), at(0), at(1), at(4), at(5)], np.int64)
    admission = ledger.plan(rows, positions, np.full(8, at(0), np.int64), 0)
    assert admission.stored.tolist() == [False, False, True, False, False, False, False, True]
    assert np.array_equal(admission.evaluated, admission.stored)
    assert (admission.duplicates, sorted(admission.repeated)) == (6, [0, 1, 2])
    assert admission.through.tolist() == [at(3), at(2), at(5)]
    assert list(admission.accounts) == [2], "only the one that has lost something was looked at alone"
    for row in range(2):
        own = rows == row
        alone = admit(ledger.account(row), positions[own].tolist(), at(0), 0)
        assert (alone.stored, alone.account.through) == (admission.stored[own].tolist(), admission.through[row])


def test_a_lost_span_is_remembered_while_the_pump_goes_on_in_order(ledger: Ledger) -> None:
    plan(ledger, 0, at(0))
    plan(ledger, 0, at(3), held_from=at(3))
    plan(ledger, 0, at(4))
    plan(ledger, 0, at(5))
    assert ledger.account(0).lost == ((at(1), at(2)),)
    assert plan(ledger, 0, at(1)).rebuild == {0: at(1)}


def test_only_pumps_whose_patience_has_ended_are_overdue(ledger: Ledger) -> None:
    plan(ledger, 0, at(0), at(2), now_ms=0)
    plan(ledger, 1, at(0), at(2), now_ms=30_000)
    assert list(ledger.overdue(PATIENCE_MS)) == [0]


def test_new_pumps_leave_known_ones_as_they_are(ledger: Ledger) -> None:
    plan(ledger, 2, at(0), at(4))
    ledger.grow(10)
    assert ledger.account(2).islands == ((at(4), at(4)),)
    assert ledger.account(9) == Account()


def test_a_restart_does_not_enter_a_lost_span_twice() -> None:
    lost = admit(after([at(10)], held_from=at(10)), [at(5, boot=2)], at(5, boot=2), 0)
    assert lost.account.missing == [Gap(at(0, boot=2), at(4, boot=2), lost=True)]
    found = restore(at(10), at(10), [(at(5, boot=2), at(5, boot=2))], lost.account.lost, 0)
    assert found.through == at(5, boot=2)
    again = admit(found, [at(6, boot=2)], at(5, boot=2), 0)
    assert again.account.missing == lost.account.missing


def test_a_restart_remembers_that_patience_had_ended() -> None:
    found = restore(at(4), at(4), [(at(6), at(7)), (at(9), at(10))], [], 0, patience_over=True)
    assert found.may_evaluate == at(10)
    judged = admit(replace(found, evaluated=at(10)), [at(5)], FIRST, 0)
    assert judged.rebuild_from == at(5)
    assert judged.account.may_evaluate == at(10)


def test_a_pump_that_leaves_hole_after_hole_takes_no_more_than_its_share_of_memory() -> None:
    account = after([at(0)])
    for seq in range(2, 4 * MOST_SPANS, 2):
        account = admit(account, [at(seq)], FIRST, 0).account
    assert len(account.islands) == MOST_SPANS
    refused = admit(account, [at(4 * MOST_SPANS)], FIRST, 0)
    assert refused.stored == [False], "not stored, so not receipted: the pump keeps it"
    assert admit(account, [at(1)], FIRST, 0).stored == [True]
