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

from service.core.change import Change, Turn
from service.core.clocks import Clocks, Offset, map_to_ours
from service.core.decode import Decoded
from service.core.evaluate import fold
from service.core.fleet import Fleet
from service.core.ledger import Account, Admission, Gap, receipt_of
from service.core.reading import EventType, Items

ROUNDS_A_BATCH: Final = 64
ITEMS_A_BATCH: Final = 50_000
RECEIPT_EVERY_MS: Final = 10_000


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
    gaps: dict[int, list[Gap]] = field(default_factory=dict)  # row → every span missing now, where that changed
    caught_up: list[int] = field(default_factory=list)  # rows whose held announcements need wait no longer


def take(decoded: Decoded) -> tuple[Items, Items]:
    """Split into what one batch evaluates, and what is carried over so that no batch takes long.

    At most ITEMS_A_BATCH items, and of each pump at most ROUNDS_A_BATCH, in position order.
    """
    return take_items(decoded.items)


def take_items(items: Items) -> tuple[Items, Items]:
    """Likewise of items that were never a message."""
    ordered = items.take(np.lexsort((items["position"], items["pump"])))
    if len(items) <= ROUNDS_A_BATCH:
        return ordered, ordered[:0]
    starts = starts_of(ordered["pump"])
    rank = np.arange(len(ordered)) - np.repeat(starts, np.diff(np.r_[starts, len(ordered)]))
    now = rank < ROUNDS_A_BATCH
    if now.sum() > ITEMS_A_BATCH:
        # Whole rounds, and one at least: something is taken in whatever order the messages came.
        whole_rounds = int((np.cumsum(np.bincount(rank[now])) <= ITEMS_A_BATCH).sum())
        now = rank < max(1, whole_rounds)
    if now.all():
        return ordered, ordered[:0]
    return ordered[now], ordered[~now]


def on_batch(
    fleet: Fleet,
    items: Items,
    held_from: npt.NDArray[np.int64],
    now_ms: int,
    *,
    ends_ms: npt.NDArray[np.int64] | None = None,
    never_stored: Mapping[int, Collection[int]] | None = None,
) -> Decisions:
    """Decide what follows from `items` (sorted by pump row and position); `held_from` is one a message.

    `ends_ms`, one a message: the device time of its last reading, which may have been left for a later batch.
    `never_stored`: by row, positions of earlier boots that the store does not hold.
    """
    rows = items["pump"].astype(np.intp)
    starts = starts_of(rows)
    batch = Batch(items, rows, starts, held_from[items["message"]] if len(items) else np.zeros(0, np.int64))
    offsets = map_to_ours(
        items, rows, starts, Clocks(fleet.offset_ms, fleet.ledger.through, fleet.newest_ms, fleet.offsets), ends_ms
    )
    admission = fleet.ledger.plan(rows, items["position"], batch.held_from, now_ms, never_stored)
    items["pump"] = fleet.keys[rows]
    folded = fold_copy(fleet, items.compress(admission.evaluated), rows[admission.evaluated])
    decisions = Decisions(batch, admission, folded, items.compress(admission.stored), offsets)
    for row, account in admission.accounts.items():
        missing = account.missing
        if missing != fleet.ledger.account(row).missing:
            decisions.gaps[row] = missing
    decisions.caught_up = _caught_up(fleet, batch, folded.changes)
    return decisions


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
        fleet.offset_ms[offset.row] = known[-1][1]  # that of the newest position, whatever came last
    fleet.held.difference_update(decisions.caught_up)
    _remember_latest(fleet, batch)


def publish_folded(fleet: Fleet, folded: Folded) -> None:
    fleet.state[folded.rows] = folded.state
    fleet.ledger.evaluated[folded.rows] = folded.evaluated
    fleet.held.update(
        fleet.row_of_key[change.pump] for change in folded.changes if change.delayed and change.turn is not Turn.ENDED
    )


def receipts_due(fleet: Fleet, urgent: Sequence[int], now_ms: int) -> list[tuple[int, int, int]]:
    """(row, boot, seq) of every receipt to send now, at most one a pump every 10 s; `urgent` rows at once.

    A pump with a hole is told again each time: it counts on that to know what to send, and when to give up.
    """
    ledger = fleet.ledger
    news = ledger.through > fleet.receipted
    news[ledger.with_hole] = True
    news &= now_ms - fleet.receipted_ms >= RECEIPT_EVERY_MS
    news[list(urgent)] = True
    due = []
    for row in np.flatnonzero(news):
        receipt = receipt_of(int(ledger.through[row]))
        if receipt is not None:
            due.append((int(row), *receipt))
            fleet.receipted[row] = ledger.through[row]
            fleet.receipted_ms[row] = now_ms
    return due


def patience_ended(fleet: Fleet, now_ms: int) -> dict[int, Account]:
    """Pumps whose hole is waited for no longer: enter their accounts, and fold what waits in the store."""
    return fleet.ledger.overdue(now_ms)


def starts_of(rows: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Where each run of equal values begins."""
    if not len(rows):
        return np.zeros(0, np.intp)
    return np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])


def _caught_up(fleet: Fleet, batch: Batch, changes: Sequence[Change]) -> list[int]:
    """Pumps with a delayed finding, held or new, whose newest item is not delayed."""
    held = fleet.held | {fleet.row_of_key[change.pump] for change in changes if change.delayed}
    if not held or not len(batch.rows):
        return []
    newest = np.r_[batch.starts[1:], len(batch.rows)] - 1
    lag_ms = batch.items["received_ms"][newest] - batch.items["measured_ms"][newest]
    fresh = batch.touched[lag_ms <= fleet.delayed_after_ms]
    return [int(row) for row in fresh if int(row) in held]


def _remember_latest(fleet: Fleet, batch: Batch) -> None:
    if not len(batch.rows):
        return
    touched = batch.touched
    newest_ms = np.maximum.reduceat(batch.items["measured_ms"], batch.starts)
    fleet.newest_ms[touched] = np.maximum(fleet.newest_ms[touched], newest_ms)
    heard_ms = np.maximum.reduceat(batch.items["received_ms"], batch.starts)
    fleet.heard_ms[touched] = np.maximum(fleet.heard_ms[touched], heard_ms)
    fleet.unsaved[touched] = True
    newest = np.r_[batch.starts[1:], len(batch.rows)] - 1
    is_event = batch.items["kind"][newest] != EventType.READING
    for group in np.flatnonzero(is_event):  # rare: look for the last reading before the event
        readings = np.flatnonzero(batch.items["kind"][batch.starts[group] : newest[group]] == EventType.READING)
        newest[group] = batch.starts[group] + readings[-1] if len(readings) else -1
    newest, touched = newest[newest >= 0], touched[newest >= 0]
    newer = batch.items["position"][newest] > fleet.latest["position"][touched]
    fleet.latest[touched[newer]] = batch.items[newest[newer]]


def messages_done(count: int, carried: Items) -> npt.NDArray[np.intp]:
    """Indexes of the messages of a batch of `count` none of whose items is carried over."""
    done = np.ones(count, np.bool_)
    done[carried["message"]] = False
    return np.flatnonzero(done)
