"""What does a batch of messages mean? The table of contents: map clocks → order → ledger → fold → what to store, tell
and settle.

Nothing here changes the fleet before `publish`: a batch whose commit fails is decided again from the same state, or
kept and committed later, and either way comes to the same.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Change
from service.core.clocks import MOST_OFFSETS, Clocks, Offset, map_to_ours
from service.core.evaluate import fold
from service.core.fleet import Fleet
from service.core.ledger import Admission
from service.core.reading import ITEM, EventType, Items, those
from service.core.sequence import Account, Gap, receipt_of

ROUNDS_A_BATCH: Final = 128
"""Items of one pump that are evaluated at a time: its backlog makes no other pump wait."""

RECEIPT_EVERY_MS: Final = 10_000
_NO_ITEMS: Final = np.zeros(0, ITEM)


@dataclass(slots=True)
class Batch:
    """What came in, sorted by pump and position. `rows` are the fleet's; `starts` begins each pump's run."""

    items: Items
    rows: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    held_from: npt.NDArray[np.int64]

    @property
    def touched(self) -> npt.NDArray[np.intp]:
        return self.rows[self.starts]


@dataclass(slots=True)
class Folded:
    """State of some pumps after a fold, not yet in force."""

    rows: npt.NDArray[np.intp]
    state: npt.NDArray[np.float64]
    evaluated: npt.NDArray[np.int64]
    changes: list[Change]


@dataclass(slots=True)
class Decisions:
    """What one transaction has to write, and what is in force once it has."""

    batch: Batch
    admission: Admission
    folded: Folded
    stored: Items  # readings and events that are new, `pump` being the database's key
    offsets: list[Offset]
    left: Items  # of these, in order, what is to be evaluated after what waits of its pump
    gaps: dict[int, list[Gap]] = field(default_factory=dict)  # row → every span missing now, where that changed
    caught_up: list[int] = field(default_factory=list)  # rows whose held announcements need wait no longer


def in_order(items: Items) -> Items:
    """Sorted by pump and position."""
    return items.take(np.lexsort((items["position"], items["pump"])))


def on_batch(
    fleet: Fleet,
    items: Items,
    held_from: npt.NDArray[np.int64],
    now_ms: int,
    *,
    ends_ms: npt.NDArray[np.int64] | None = None,
    never_stored: Mapping[int, Collection[int]] | None = None,
    waiting: Items = _NO_ITEMS,
    most_of_a_pump: int | None = None,
) -> Decisions:
    """Decide what follows from `items` (sorted by pump row and position); `held_from` is one a message.

    `ends_ms`, one a message: the device time of its last reading.
    `never_stored`: by row, positions of earlier boots that the store does not hold.
    `waiting`: what comes next of pumps that are behind, stored already, sorted by the database's key and position.
    `most_of_a_pump`: so many of the new items of each pump are evaluated at once; the others are left.
    """
    rows = items["pump"].astype(np.intp)
    starts = starts_of(rows)
    batch = Batch(items, rows, starts, held_from[items["message"]] if len(items) else np.zeros(0, np.int64))
    offsets = map_to_ours(
        items, rows, starts, Clocks(fleet.offset_ms, fleet.ledger.highest, fleet.newest_ms, fleet.offsets), ends_ms
    )
    waiting_rows = np.array([fleet.row_of_key[key] for key in waiting["pump"].tolist()], np.intp)
    # What comes late of a pump that is behind may lie before what waits of it, and is evaluated now.
    reached = dict(zip(waiting_rows.tolist(), waiting["position"].tolist(), strict=True))
    admission = fleet.ledger.plan(rows, items["position"], batch.held_from, now_ms, never_stored, fleet.behind, reached)
    items["pump"] = fleet.keys[rows]
    now, left = admission.evaluated, admission.next
    if most_of_a_pump is not None:
        now = first_of_each(now, rows, starts, most_of_a_pump)
        left = left | (admission.evaluated & ~now)
    evaluated, evaluated_rows = those(items, now), rows[now]
    if len(waiting):
        evaluated, evaluated_rows = np.concatenate([waiting, evaluated]), np.r_[waiting_rows, evaluated_rows]
    folded = fold_copy(fleet, evaluated, evaluated_rows)
    decisions = Decisions(batch, admission, folded, those(items, admission.stored), offsets, items.compress(left))
    for row, account in admission.accounts.items():
        missing = account.missing
        if missing != fleet.ledger.account(row).missing:
            decisions.gaps[row] = missing
    decisions.caught_up = _caught_up(fleet, evaluated, evaluated_rows, folded.changes)
    return decisions


def first_of_each(
    which: npt.NDArray[np.bool_], rows: npt.NDArray[np.intp], starts: npt.NDArray[np.intp], most: int
) -> npt.NDArray[np.bool_]:
    """The first `most` of each pump among those that `which` names."""
    if not len(rows) or np.diff(np.r_[starts, len(rows)]).max() <= most:
        return which
    count = np.cumsum(which)
    before: npt.NDArray[np.intp] = np.repeat(count[starts] - which[starts], np.diff(np.r_[starts, len(rows)]))
    first: npt.NDArray[np.bool_] = which & (count - before <= most)
    return first


def fold_copy(fleet: Fleet, items: Items, rows: npt.NDArray[np.intp]) -> Folded:
    """Fold `items` (sorted by pump and position) onto copies of the pumps' states."""
    starts = starts_of(rows)
    touched = rows[starts]
    state, evaluated = fleet.state[touched], fleet.ledger.evaluated[touched]
    local = np.repeat(np.arange(len(touched)), np.diff(np.r_[starts, len(rows)]))
    changes = fold(state, evaluated, items, fleet.limits.take(touched), local, fleet.delayed_after_ms)
    return Folded(touched, state, evaluated, [fleet.ruled(change) for change in changes])


def publish(fleet: Fleet, decisions: Decisions) -> None:
    """The transaction is committed: what it decided is in force."""
    batch = decisions.batch
    fleet.ledger.publish(batch.touched, decisions.admission)
    publish_folded(fleet, decisions.folded)
    for offset in decisions.offsets:
        known = fleet.offsets.setdefault(offset.row, [])
        known.append((offset.from_position, offset.offset_ms))
        known.sort()
        del known[:-MOST_OFFSETS]
        fleet.offset_ms[offset.row] = known[-1][1]  # that of the newest position, whatever came last
    fleet.held.difference_update(decisions.caught_up)
    _remember_latest(fleet, batch, decisions.admission.stored)


def publish_folded(fleet: Fleet, folded: Folded) -> None:
    fleet.state[folded.rows] = folded.state
    fleet.ledger.evaluated[folded.rows] = folded.evaluated
    fleet.hold(folded.changes)


def receipts_due(fleet: Fleet, urgent: Sequence[int], now_ms: int) -> list[tuple[int, int, int]]:
    """(row, boot, seq) of every receipt to send now, at most one a pump every 10 s; `urgent` rows at once.

    A pump with a hole is told again each time: it counts on that to know what to send, and when to give up.
    """
    ledger = fleet.ledger
    news = ledger.through > fleet.receipted
    news[ledger.with_hole] = True
    news &= now_ms - fleet.receipted_ms >= RECEIPT_EVERY_MS
    news[list(urgent)] = True
    rows = np.flatnonzero(news)
    through = ledger.through[rows]
    fleet.receipted[rows], fleet.receipted_ms[rows] = through, now_ms
    told = zip(rows.tolist(), map(receipt_of, through.tolist()), strict=True)
    return [(row, *receipt) for row, receipt in told if receipt is not None]


def patience_ended(fleet: Fleet, now_ms: int) -> dict[int, Account]:
    """Pumps whose hole is waited for no longer: enter their accounts, and fold what waits in the store."""
    return fleet.ledger.overdue(now_ms)


def starts_of(rows: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Where each run of equal values begins."""
    if not len(rows):
        return np.zeros(0, np.intp)
    return np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])


def _caught_up(fleet: Fleet, items: Items, rows: npt.NDArray[np.intp], changes: Sequence[Change]) -> list[int]:
    """Pumps with a delayed finding, held or new, of whose items evaluated now the newest is not delayed."""
    held = fleet.held | {fleet.row_of_key[change.pump] for change in changes if change.delayed}
    if not held or not len(rows):
        return []
    newest = np.r_[starts_of(rows)[1:], len(rows)] - 1
    lag_ms = items["received_ms"][newest] - items["measured_ms"][newest]
    fresh = rows[newest[lag_ms <= fleet.delayed_after_ms]]
    return [int(row) for row in fresh if int(row) in held]


def _remember_latest(fleet: Fleet, batch: Batch, stored: npt.NDArray[np.bool_]) -> None:
    """A pump is heard by what it says anew: one that only repeats itself tells no more than one that is silent."""
    if not len(batch.rows):
        return
    touched = batch.touched
    newest_ms = np.maximum.reduceat(batch.items["measured_ms"], batch.starts)
    fleet.newest_ms[touched] = np.maximum(fleet.newest_ms[touched], newest_ms)
    heard_ms = np.maximum.reduceat(np.where(stored, batch.items["received_ms"], 0), batch.starts)
    fleet.heard_ms[touched] = np.maximum(fleet.heard_ms[touched], heard_ms)
    fleet.unsaved[touched[heard_ms > 0]] = True
    newest = np.r_[batch.starts[1:], len(batch.rows)] - 1
    is_event = batch.items["kind"][newest] != EventType.READING
    for group in np.flatnonzero(is_event):  # rare: look for the last reading before the event
        readings = np.flatnonzero(batch.items["kind"][batch.starts[group] : newest[group]] == EventType.READING)
        newest[group] = batch.starts[group] + readings[-1] if len(readings) else -1
    newest, touched = newest[newest >= 0], touched[newest >= 0]
    newer = batch.items["position"][newest] > fleet.latest["position"][touched]
    fleet.latest[touched[newer]] = batch.items[newest[newer]]
