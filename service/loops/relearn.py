"""How does a pump go on whose remembered state cannot be read? From what it measured within the lateness horizon."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Final

import numpy as np

from service.core.fleet import Fleet
from service.core.in_force import fold_terms
from service.core.relearn import HORIZON, keep_open, last_words, seeded
from service.logs import tell
from service.loops.recover import checkpoints_of, rows_of, terms_by_row
from service.ports import IngestStore

ITEMS_AT_ONCE: Final = 400_000
"""About so many readings are held in memory: the history of a fleet is not."""


async def relearn(store: IngestStore, fleet: Fleet, rows: Collection[int], now: datetime) -> None:
    """Work the states of these pumps out again, as far as they were evaluated before; some pumps at a time.

    Where a stop interrupts it, the next start goes on with the rest.
    """
    done = 0
    for some in _slices(fleet, sorted(rows)):
        await _relearn_some(store, fleet, some, now)
        done += len(some)
        tell("pumps_relearned", done=done, of=len(rows))


async def _relearn_some(store: IngestStore, fleet: Fleet, rows: Sequence[int], now: datetime) -> None:
    ledger = fleet.ledger
    since = now - HORIZON
    keys = [int(fleet.keys[row]) for row in rows]
    seeds = await store.seeds(keys, since)
    items = await store.items_after(keys, [-1] * len(rows), [since] * len(rows))
    item_rows = rows_of(fleet, items)
    due = (items["position"] <= ledger.evaluated[item_rows]) & (items["measured_ms"] >= since.timestamp() * 1000)
    reached = ledger.evaluated[list(rows)].copy()
    for row, key in zip(rows, keys, strict=True):
        fleet.state[row] = seeded(seeds.get(key, ()))
    ledger.evaluated[list(rows)] = -1
    folded = fold_terms(fleet, items[due], item_rows[due], await terms_by_row(store, fleet, rows))
    ledger.evaluated[list(rows)] = reached
    told = last_words(folded.changes)
    if told:
        await store.commit_fold(told, {}, now)
    fleet.state[folded.rows] = folded.state
    for key, is_open in (await store.seeds(keys, now)).items():
        keep_open(fleet.state[fleet.row_of_key[key]], is_open, [turn for turn in folded.changes if turn.pump == key])
    np.maximum.at(fleet.newest_ms, item_rows, items["measured_ms"])
    await store.save_checkpoints(checkpoints_of(fleet, rows), now)


def _slices(fleet: Fleet, rows: Sequence[int]) -> Iterator[Sequence[int]]:
    """As many pumps at a time as have about so many readings in the horizon."""
    some: list[int] = []
    expected = 0.0
    for row in rows:
        expected += HORIZON.total_seconds() / max(fleet.facts[row].interval_s, 1.0)
        some.append(row)
        if expected >= ITEMS_AT_ONCE:
            yield some
            some, expected = [], 0.0
    if some:
        yield some
