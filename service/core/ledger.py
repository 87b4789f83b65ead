"""What becomes of a batch's positions, over all pumps? The sequence ledger: two columns, and an Account for the few
that have or had a hole (core/sequence.py).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from service.core.reading import boot_of
from service.core.sequence import NOTHING, Account, Admitted, admit, wait_no_longer


@dataclass(slots=True)
class Admission:
    """What became of a batch: masks over its items, and the accounts as they will be once it is committed."""

    stored: npt.NDArray[np.bool_]
    evaluated: npt.NDArray[np.bool_]
    next: npt.NDArray[np.bool_]  # in order, and evaluated once what waits of their pump is
    duplicates: int
    through: npt.NDArray[np.int64]  # of each group's pump, afterwards
    accounts: dict[int, Account] = field(default_factory=dict)  # row → account, of those that are not simply in order
    from_store: list[int] = field(default_factory=list)  # rows to be evaluated from the store once committed
    rebuild: dict[int, int] = field(default_factory=dict)  # row → lowest late position
    holes_noticed: list[int] = field(default_factory=list)  # rows: receipt at once
    holes_closed: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)  # rows that sent what is stored: they may have missed a receipt
    first_heard: dict[int, int] = field(default_factory=dict)  # row → the position before its first
    new_boots: dict[int, int] = field(default_factory=dict)  # row → `through`, of those done with a boot

    def note(
        self, group: int, row: int, span: slice, positions: npt.NDArray[np.int64], before: Account, judged: Admitted
    ) -> None:
        """Enter what became of the `positions` of one pump, which are the batch's `span`."""
        after, stored = judged.account, np.array(judged.stored)
        if not stored.all():
            self.repeated.append(row)
        if before == Account():
            self.first_heard[row] = after.evaluated
        elif boot_of(after.through) != boot_of(before.through):
            self.new_boots[row] = after.through
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
        self.highest = np.full(pumps, NOTHING, np.int64)  # stored, also beyond a hole
        self.irregular: dict[int, Account] = {}
        self._has_hole = np.zeros(pumps, np.bool_)

    def grow(self, pumps: int) -> None:
        added = pumps - len(self.through)
        self.through = np.r_[self.through, np.full(added, NOTHING, np.int64)]
        self.evaluated = np.r_[self.evaluated, np.full(added, NOTHING, np.int64)]
        self.highest = np.r_[self.highest, np.full(added, NOTHING, np.int64)]
        self._has_hole = np.r_[self._has_hole, np.zeros(added, np.bool_)]

    def forget(self, rows: list[int]) -> None:
        """Nothing is waited for of these any more."""
        self._has_hole[rows] = False
        for row in rows:
            self.irregular.pop(row, None)

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
        self.highest[row] = account.islands[-1][1] if account.islands else account.through
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
        behind: npt.NDArray[np.bool_] | None = None,
        reached: Mapping[int, int] = MappingProxyType({}),
    ) -> Admission:
        """Judge a batch, sorted by row and position; nothing changes until `publish`.

        Pumps whose positions simply go on, or repeat what is stored, are judged together; only the others cost a call
        each. `never_stored`: by row, what `boots.earlier` has named and the store does not hold. `behind`, a pump: what
        it sent before is not all evaluated yet. `reached`, by row: up to where that is evaluated with this batch.
        """
        if not len(rows):
            none = np.zeros(0, np.bool_)
            return Admission(none, none, none, 0, np.zeros(0, np.int64))
        starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
        group_rows = rows[starts]
        previous = np.r_[NOTHING, positions[:-1]]
        previous[starts] = NOTHING
        previous = np.maximum(previous, self.through[rows])
        in_order = np.logical_and.reduceat(positions <= previous + 1, starts) & (self.through[group_rows] != NOTHING)
        lags = np.zeros(len(starts), np.bool_) if behind is None else behind[group_rows]
        in_order &= ~self._has_hole[group_rows]
        in_order &= (self.evaluated[group_rows] == self.through[group_rows]) | lags
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
        lagging = np.repeat(lags & in_order, ends - starts)
        duplicates = int((~new).sum())
        repeated_rows = group_rows[repeated].tolist()
        admission = Admission(new, new & ~lagging, new & lagging, duplicates, through, repeated=repeated_rows)
        for group in np.flatnonzero(~in_order).tolist():
            row, span = int(group_rows[group]), slice(starts[group], ends[group])
            before, highest = self.account(row), int(held_from[span].max())
            before = replace(before, evaluated=reached.get(row, before.evaluated))
            judged = admit(
                before, positions[span].tolist(), highest, now_ms, absent.get(row, ()), behind=bool(lags[group])
            )
            admission.note(group, row, span, positions[span], before, judged)
        return admission

    def publish(self, group_rows: npt.NDArray[np.intp], admission: Admission) -> None:
        """The batch is committed: its accounts are in force."""
        self.through[group_rows] = self.highest[group_rows] = admission.through
        for row, account in admission.accounts.items():
            self.enter(row, account)

    def overdue(self, now_ms: int) -> dict[int, Account]:
        """Pumps whose hole has been waited for long enough, with the accounts that follow."""
        over = ((row, wait_no_longer(self.account(row), now_ms)) for row in self.with_hole)
        return {row: account for row, account in over if account is not None}
