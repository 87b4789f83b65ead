"""Which positions of a pump do we hold, which are missing, and what may be evaluated and receipted? The sequence
ledger.

A pump's positions are dense within a boot, so a position at or below `through` that is not known as lost is stored:
duplicates are recognised here, before the store sees them. Stored runs beyond a hole are *islands*: they wait until the
hole closes, until the pump says that it no longer holds what is missing (`held_from`), or until patience ends.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from service.core.reading import boot_of, seq_of
from service.core.spans import Span, find, insert, joins, without

PATIENCE_MS: Final = 45_000
MOST_SPANS: Final = 256
"""Islands of one pump, beyond which nothing that would make another is taken: the pump keeps it and sends it again.
Lost spans that are remembered: what comes of older ones all the same is taken for a duplicate."""
NOTHING: Final = -1


class Gap(NamedTuple):
    from_position: int
    to_position: int
    lost: bool  # the pump no longer holds it


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of one pump's sequence."""

    through: int = NOTHING  # all of it up to here is stored, or lost for good
    evaluated: int = NOTHING  # the rules have seen it up to here
    islands: tuple[Span, ...] = ()  # stored beyond a hole
    lost: tuple[Span, ...] = ()
    hole_since_ms: int = 0
    patience_over: bool = False

    @property
    def missing(self) -> list[Gap]:
        """Every span that never came: lost ones, and holes that patience has given up waiting for."""
        gaps = [Gap(first, last, lost=True) for first, last in self.lost]
        if self.patience_over:
            before = self.through
            for first, last in self.islands:
                start = before + 1 if boot_of(before) == boot_of(first) else first - seq_of(first)
                if start < first:
                    gaps.append(Gap(start, first - 1, lost=False))
                before = last
        return gaps

    @property
    def may_evaluate(self) -> int:
        """Everything stored up to here may be evaluated."""
        return self.islands[-1][1] if self.islands and self.patience_over else self.through


class Admitted(NamedTuple):
    """What became of one pump's positions, in their order."""

    account: Account
    stored: list[bool]  # new: to be stored; else a duplicate
    now: bool  # evaluate the new ones at once
    from_store: bool  # evaluate from the store once committed, since earlier ones wait there
    rebuild_from: int  # lowest position that came after its successors were evaluated, or NOTHING


def admit(
    account: Account, positions: Sequence[int], held_from: int, now_ms: int, never_stored: Collection[int] = ()
) -> Admitted:
    """Enter `positions` (sorted, of one pump) into its account. `held_from` is NOTHING where the pump did not say.

    `never_stored`: positions of earlier boots that the store does not hold. What a boot ended with is unknowable, so
    that they lie below `through` does not make them duplicates.
    """
    absent = set(never_stored)
    if account == Account():
        base = held_from if 0 <= held_from <= positions[0] else positions[0]
        account = Account(through=base - 1, evaluated=base - 1)
    islands, lost = list(account.islands), list(account.lost)
    stored: list[bool] = []
    rebuild_from = NOTHING
    for position in positions:
        known = position <= account.through or find(islands, position) is not None
        at = find(lost, position)
        if position in absent and boot_of(position) < boot_of(account.through) and at is None:
            absent.remove(position)
            stored.append(True)
            rebuild_from = position if rebuild_from == NOTHING else min(rebuild_from, position)
            continue
        if not known and len(islands) >= MOST_SPANS and not joins(islands, account.through, position):
            stored.append(False)
            continue
        if known and at is None:
            stored.append(False)
            continue
        stored.append(True)
        if at is not None:
            lost[at : at + 1] = without(lost[at], position)
        else:
            insert(islands, position)
        if position <= account.evaluated and rebuild_from == NOTHING:
            rebuild_from = position
    through, islands, newly_lost = _settle(account.through, islands, held_from)
    lost = sorted({*lost, *newly_lost})[-MOST_SPANS:]
    after = _with_hole(account, through, islands, lost, now_ms)
    return _decide(account, after, stored, rebuild_from)


def wait_no_longer(account: Account, now_ms: int) -> Account | None:
    """The account once patience has ended, or None while there is still cause to wait."""
    if not account.islands or account.patience_over or now_ms - account.hole_since_ms < PATIENCE_MS:
        return None
    return replace(account, patience_over=True)


def restore(
    through: int,
    evaluated: int,
    runs: Iterable[Span],
    lost: Sequence[Span],
    now_ms: int,
    *,
    patience_over: bool = False,
) -> Account:
    """The account of a pump whose checkpoint covers `through` and `evaluated`, and whose stored runs beyond it are
    `runs`.
    """
    islands: list[Span] = []
    for first, last in runs:
        start = max(first, through + 1)
        if start <= last:
            islands.append((start, last))
    for first, last in sorted(lost):
        while islands and islands[0][0] == through + 1:
            through = islands.pop(0)[1]
        if first == through + 1 or (seq_of(first) == 0 and boot_of(first) > boot_of(through)):
            through = max(through, last)
    through, islands, _ = _settle(through, islands, NOTHING)
    account = _with_hole(Account(through, evaluated), through, islands, list(lost), now_ms)
    return replace(account, patience_over=patience_over and bool(account.islands))


def receipt_of(through: int) -> tuple[int, int] | None:
    """(boot, seq) of the receipt that `through` allows, or None where nothing can be said.

    While the first reading of a boot is missing it names the very last position that the boot before can have: so the
    pump learns that it has to send this boot from its beginning.
    """
    if through < 0:
        return None
    return boot_of(through), seq_of(through)


def _decide(before: Account, after: Account, stored: list[bool], rebuild_from: int) -> Admitted:
    if rebuild_from != NOTHING:
        return Admitted(after, stored, now=False, from_store=False, rebuild_from=rebuild_from)
    target = after.may_evaluate
    waiting = any(last > before.evaluated and first <= target for first, last in before.islands)
    return Admitted(
        after, stored, now=not waiting, from_store=waiting and target > before.evaluated, rebuild_from=NOTHING
    )


def _with_hole(account: Account, through: int, islands: list[Span], lost: list[Span], now_ms: int) -> Account:
    if not islands:
        return Account(through, account.evaluated, (), tuple(lost))
    since_ms = account.hole_since_ms if account.islands else now_ms
    over = (account.patience_over and bool(account.islands)) or now_ms - since_ms >= PATIENCE_MS
    return Account(through, account.evaluated, tuple(islands), tuple(lost), since_ms, over)


def _settle(through: int, islands: list[Span], held_from: int) -> tuple[int, list[Span], list[Span]]:
    """Move `through` over what is stored, and over what the pump says it no longer holds."""
    lost: list[Span] = []
    while True:
        first = islands[0][0] if islands else None
        if first is not None and (
            first == through + 1 or (seq_of(first) == 0 and boot_of(first) > boot_of(through) and held_from >= first)
        ):
            through = islands.pop(0)[1]
        elif held_from > through + 1:
            until = held_from if first is None else min(held_from, first)
            # What an earlier boot may have ended with is unknowable: a reboot is not a gap.
            start = through + 1 if boot_of(through + 1) == boot_of(until) else until - seq_of(until)
            if start < until:
                lost.append((start, until - 1))
            through = until - 1
        else:
            return through, islands, lost


@dataclass(slots=True)
class Admission:
    """What became of a batch: masks over its items, and the accounts as they will be once it is committed."""

    stored: npt.NDArray[np.bool_]
    evaluated: npt.NDArray[np.bool_]
    duplicates: int
    through: npt.NDArray[np.int64]  # of each group's pump, afterwards
    accounts: dict[int, Account] = field(default_factory=dict)  # row → account, of those that are not simply in order
    from_store: list[int] = field(default_factory=list)  # rows to be evaluated from the store once committed
    rebuild: dict[int, int] = field(default_factory=dict)  # row → lowest late position
    holes_noticed: list[int] = field(default_factory=list)  # rows: receipt at once
    holes_closed: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)  # rows that sent what is stored: they may have missed a receipt
    first_heard: dict[int, int] = field(default_factory=dict)  # row → the position before its first

    def note(
        self, group: int, row: int, span: slice, positions: npt.NDArray[np.int64], before: Account, judged: Admitted
    ) -> None:
        """Enter what became of the `positions` of one pump, which are the batch's `span`."""
        after, stored = judged.account, np.array(judged.stored)
        if not stored.all():
            self.repeated.append(row)
        if before == Account():
            self.first_heard[row] = after.evaluated
        self.stored[span] = stored
        self.duplicates += int((~stored).sum())
        self.evaluated[span] = stored & judged.now & (positions <= after.may_evaluate)
        self.through[group] = after.through
        self.accounts[row] = after
        if judged.rebuild_from != NOTHING:
            self.rebuild[row] = judged.rebuild_from
        elif judged.from_store:
            self.from_store.append(row)
        if after.islands and not before.islands:
            self.holes_noticed.append(row)
        if before.islands and not after.islands:
            self.holes_closed.append(row)


class Ledger:
    """The accounts of all pumps: two columns, and an Account for the few that have or had a hole."""

    def __init__(self, pumps: int) -> None:
        self.through = np.full(pumps, NOTHING, np.int64)
        self.evaluated = np.full(pumps, NOTHING, np.int64)
        self.irregular: dict[int, Account] = {}
        self._has_hole = np.zeros(pumps, np.bool_)

    def grow(self, pumps: int) -> None:
        added = pumps - len(self.through)
        self.through = np.r_[self.through, np.full(added, NOTHING, np.int64)]
        self.evaluated = np.r_[self.evaluated, np.full(added, NOTHING, np.int64)]
        self._has_hole = np.r_[self._has_hole, np.zeros(added, np.bool_)]

    @property
    def with_hole(self) -> list[int]:
        """The rows of the pumps of which something is waited for, however many have lost something for good."""
        return np.flatnonzero(self._has_hole).tolist()

    def account(self, row: int) -> Account:
        known = self.irregular.get(row, Account())
        return replace(known, through=int(self.through[row]), evaluated=int(self.evaluated[row]))

    def enter(self, row: int, account: Account) -> None:
        """Make `account` the one in force. `evaluated` is set by whoever evaluates."""
        self.through[row] = account.through
        self._has_hole[row] = bool(account.islands)
        if account.islands or account.lost:
            self.irregular[row] = account
        else:
            self.irregular.pop(row, None)

    def plan(
        self,
        rows: npt.NDArray[np.intp],
        positions: npt.NDArray[np.int64],
        held_from: npt.NDArray[np.int64],
        now_ms: int,
        never_stored: Mapping[int, Collection[int]] | None = None,
    ) -> Admission:
        """Judge a batch, sorted by row and position; nothing changes until `publish`.

        Pumps whose positions simply go on, or repeat what is stored, are judged together; only the others cost a call
        each. `never_stored`: by row, what `boots.earlier` has named and the store does not hold.
        """
        if not len(rows):
            return Admission(np.zeros(0, np.bool_), np.zeros(0, np.bool_), 0, np.zeros(0, np.int64))
        starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
        group_rows = rows[starts]
        previous = np.r_[NOTHING, positions[:-1]]
        previous[starts] = NOTHING
        previous = np.maximum(previous, self.through[rows])
        in_order = np.logical_and.reduceat(positions <= previous + 1, starts) & (self.through[group_rows] != NOTHING)
        in_order &= ~self._has_hole[group_rows] & (self.evaluated[group_rows] == self.through[group_rows])
        ends = np.r_[starts[1:], len(rows)]
        through = np.maximum(positions[ends - 1], self.through[group_rows])
        new = positions > previous
        repeats = ~np.logical_and.reduceat(new, starts)
        repeated = np.flatnonzero(repeats & in_order & (np.maximum.reduceat(held_from, starts) <= through + 1))
        absent = never_stored or {}
        special = self.irregular.keys() | absent.keys()
        repeated = repeated[[row not in special for row in group_rows[repeated].tolist()]]
        in_order[repeats] = False
        in_order[repeated] = True
        new |= ~np.repeat(in_order, ends - starts)  # the others are judged below
        admission = Admission(new, new.copy(), int((~new).sum()), through, repeated=group_rows[repeated].tolist())
        for group in np.flatnonzero(~in_order).tolist():
            row, span = int(group_rows[group]), slice(starts[group], ends[group])
            before, highest = self.account(row), int(held_from[span].max())
            judged = admit(before, positions[span].tolist(), highest, now_ms, absent.get(row, ()))
            admission.note(group, row, span, positions[span], before, judged)
        return admission

    def publish(self, group_rows: npt.NDArray[np.intp], admission: Admission) -> None:
        """The batch is committed: its accounts are in force."""
        self.through[group_rows] = admission.through
        for row, account in admission.accounts.items():
            self.enter(row, account)

    def overdue(self, now_ms: int) -> dict[int, Account]:
        """Pumps whose hole has been waited for long enough, with the accounts that follow."""
        over = ((row, wait_no_longer(self.account(row), now_ms)) for row in self.with_hole)
        return {row: account for row, account in over if account is not None}
