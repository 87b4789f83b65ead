"""One pump's sequence: nothing twice, nothing receipted that is not held, every hole named."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.reading import MAX_SEQ, boot_of, position_of
from service.core.sequence import (
    MOST_SPANS,
    NOTHING,
    PATIENCE_MS,
    Account,
    Admitted,
    Gap,
    admit,
    receipt_of,
    restore,
    wait_no_longer,
)

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
