"""How does an ingester go on where the last one stopped? Latest checkpoint, then the fold of what is stored after it.

The same fold serves a pump whose hole has closed, and one whose history has changed because a reading came late.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.fleet import Fleet, PumpEntry
from service.core.in_force import fold_terms
from service.core.pipeline import first_of_each, publish_folded
from service.core.pump_rules import Term
from service.core.reading import EventType, Items
from service.core.sequence import NOTHING, restore
from service.core.spans import Span
from service.core.state import Field
from service.logs import tell
from service.ports import Checkpoint, IngestStore, Recovered

PUMPS_AT_ONCE: Final = 2_000
FOLDED_AT_START: Final = 1_000
"""Items of one pump that are folded before the shard hears again: some minutes of many pumps, but no long backlog."""

_BEGINNING: Final = datetime(1970, 1, 3, tzinfo=UTC)


def stand_at(fleet: Fleet, found: Recovered) -> None:
    """Put the pumps where their checkpoints say that they were."""
    for key, checkpoint in found.checkpoints.items():
        row = fleet.row_of_key[key]
        fleet.state[row] = checkpoint.state
        fleet.ledger.evaluated[row] = fleet.checkpointed[row] = checkpoint.position
        fleet.ledger.through[row] = checkpoint.through
        fleet.newest_ms[row] = max(checkpoint.newest_ms, int(checkpoint.state[Field.READING_MS]))
    for key, offsets in found.offsets.items():
        row = fleet.row_of_key[key]
        fleet.offsets[row] = list(offsets)
        fleet.offset_ms[row] = offsets[-1][1]


async def recover(store: IngestStore, fleet: Fleet, found: Recovered, now: datetime) -> list[int]:
    """Bring the rules of the shard's pumps to where everything stored is evaluated, each under the limits of its time.

    Limits that have changed since are not in force yet: that is a matter of loops/in_force.py, afterwards. Return the
    rows of the pumps that are behind: more is stored of them than others should wait for, or they are unlearned.
    """
    now_ms = to_ms(now)
    behind: list[int] = []
    heard = [fleet.row_of_key[key] for key in found.checkpoints]
    every = np.array(heard, np.intp)
    for at in range(0, len(heard), PUMPS_AT_ONCE):
        rows = heard[at : at + PUMPS_AT_ONCE]
        lost = {row: found.lost.get(int(fleet.keys[row]), ()) for row in rows}
        waited_for = {row for row in rows if int(fleet.keys[row]) in found.waited_for}
        behind += await _recover_some(store, fleet, rows, lost, waited_for, now)
    # Receipts that were not sent before the stop follow over the next ten seconds, not all at once.
    fleet.receipted_ms[every] = now_ms - every * 7919 % 10_000
    tell("recovered", pumps=len(fleet.row_of), heard=len(heard), behind=len(behind))
    return behind


async def _recover_some(
    store: IngestStore,
    fleet: Fleet,
    rows: Sequence[int],
    lost: dict[int, Sequence[Span]],
    waited_for: set[int],
    now: datetime,
) -> list[int]:
    ledger = fleet.ledger
    after = [int(min(ledger.evaluated[row], ledger.through[row])) for row in rows]
    # The time bound of a checkpoint holds for its evaluated position; the ledger's may be earlier, so it has none.
    since = [_since(fleet, row) if ledger.through[row] >= ledger.evaluated[row] else _BEGINNING for row in rows]
    items = await store.items_after([int(fleet.keys[row]) for row in rows], after, since)
    item_rows = rows_of(fleet, items)
    starts = np.flatnonzero(np.r_[True, item_rows[1:] != item_rows[:-1]]) if len(items) else np.zeros(0, np.intp)
    spans = (
        {
            int(item_rows[start]): positions
            for start, positions in zip(starts, np.split(items["position"], starts[1:]), strict=True)
        }
        if len(items)
        else {}
    )
    for row in rows:
        runs = _runs(spans.get(row, np.zeros(0, np.int64)))
        through, evaluated = int(ledger.through[row]), int(ledger.evaluated[row])
        over = row in waited_for or evaluated > through  # the latter after a reboot, of which no gap is told
        account = restore(through, evaluated, runs, lost[row], to_ms(now), patience_over=over)
        ledger.enter(row, account)
    may = np.array([ledger.account(row).may_evaluate for row in rows])
    limit = np.full(len(fleet), NOTHING, np.int64)
    limit[list(rows)] = may
    unlearned = [row for row in rows if row in fleet.unlearned]
    limit[unlearned] = NOTHING
    due = (items["position"] > ledger.evaluated[item_rows]) & (items["position"] <= limit[item_rows])
    now_due = first_of_each(due, item_rows, starts, FOLDED_AT_START)
    behind: list[int] = [*unlearned, *np.unique(item_rows[due & ~now_due]).tolist()]
    folded = fold_terms(fleet, items[now_due], item_rows[now_due], await terms_by_row(store, fleet, rows))
    if folded.changes:
        await store.commit_fold(folded.changes, {}, now)
    publish_folded(fleet, folded)
    np.maximum.at(fleet.newest_ms, item_rows, items["measured_ms"])
    is_reading = items["kind"] == EventType.READING
    fleet.latest[item_rows[is_reading]] = items[is_reading]  # the last assignment of a row wins: the newest
    return behind


async def enter(store: IngestStore, fleet: Fleet, entries: Sequence[PumpEntry]) -> None:
    """Add the pumps, judged as they were last; those that never were are not judged yet."""
    fleet.add(entries)
    rows = [fleet.row_of_key[entry.key] for entry in entries]
    last = {row: terms[-1] for row, terms in (await terms_by_row(store, fleet, rows)).items()}
    fleet.adopt(last)


async def terms_by_row(store: IngestStore, fleet: Fleet, rows: Sequence[int]) -> dict[int, Sequence[Term]]:
    found = await store.terms([int(fleet.keys[row]) for row in rows])
    return {fleet.row_of_key[key]: terms for key, terms in found.items()}


def checkpoints_of(fleet: Fleet, rows: Sequence[int]) -> list[Checkpoint]:
    some, ledger = np.asarray(rows, np.intp), fleet.ledger
    states = fleet.state[some]
    columns = (fleet.keys, ledger.evaluated, ledger.through, fleet.newest_ms)
    keys, evaluated, through, newest_ms = (column[some].tolist() for column in columns)
    return list(map(Checkpoint, keys, evaluated, through, map(last_measured, states), states, newest_ms))


def rows_of(fleet: Fleet, items: Items) -> npt.NDArray[np.intp]:
    """The fleet's row of each item read back from the store."""
    keys, inverse = np.unique(items["pump"], return_inverse=True)
    return (
        np.array([fleet.row_of_key[int(key)] for key in keys], np.intp)[inverse] if len(items) else np.zeros(0, np.intp)
    )


def to_ms(now: datetime) -> int:
    return int(now.timestamp() * 1000)


def _runs(positions: npt.NDArray[np.int64]) -> list[Span]:
    """Positions, sorted, as runs without a hole."""
    if not len(positions):
        return []
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    return [(int(run[0]), int(run[-1])) for run in np.split(positions, breaks)]


def _since(fleet: Fleet, row: int) -> datetime:
    return last_measured(fleet.state[row])


def last_measured(state: npt.NDArray[np.float64]) -> datetime:
    """When the newest reading that this state [field] covers was measured."""
    measured_ms = float(state[Field.READING_MS])
    return datetime.fromtimestamp(measured_ms / 1000, UTC) if measured_ms > 0 else _BEGINNING
