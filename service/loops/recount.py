"""How is a pump worked out again without making others wait? In slices: each folds a little more of what is stored onto
a state of its own, and what is live goes on between them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

from service.core.change import Change
from service.core.fleet import Fleet
from service.core.in_force import Stand, fold_terms
from service.core.lifecycle import EPOCH
from service.loops.recover import last_measured, rows_of, terms_by_row
from service.ports import IngestStore

PUMPS_AT_ONCE: Final = 300
FOLDED_AT_ONCE: Final = 30_000
OF_A_PUMP_AT_ONCE: Final = 500
OF_A_PUMP_AT_LEAST: Final = 64
"""Items of a slice, and of each pump in it: some tenths of a second."""


@dataclass(slots=True)
class Recount:
    """How far one pump is."""

    row: int
    stand: Stand
    since: datetime  # when the position that it is read from was measured
    read_to: int  # position
    counts_from: datetime = EPOCH  # what was measured before does not count
    turns: list[Change] = field(default_factory=list)


async def advance(
    store: IngestStore, fleet: Fleet, recounts: Sequence[Recount], until: Callable[[int], int]
) -> list[Recount]:
    """Fold one slice more of each; return those that have reached the position `until` of their row."""
    if not recounts:
        return []
    by_row = {recount.row: recount for recount in recounts}
    items, more = await store.items_next(
        [int(fleet.keys[row]) for row in by_row],
        [recount.read_to for recount in recounts],
        [max(recount.since, last_measured(recount.stand.state)) for recount in recounts],
        max(OF_A_PUMP_AT_LEAST, min(OF_A_PUMP_AT_ONCE, FOLDED_AT_ONCE // len(recounts))),
    )
    rows = rows_of(fleet, items)
    limit, since_ms, read_to = (np.zeros(len(fleet), np.int64) for _ in range(3))
    limit[list(by_row)] = [until(row) for row in by_row]
    since_ms[list(by_row)] = [recount.counts_from.timestamp() * 1000 for recount in recounts]
    read_to[list(by_row)] = [recount.read_to for recount in recounts]
    within = items["position"] <= limit[rows]
    np.maximum.at(read_to, rows[within], items["position"][within])
    counts = within & (items["measured_ms"] >= since_ms[rows])
    stands = {row: recount.stand for row, recount in by_row.items()}
    terms = await terms_by_row(store, fleet, list(by_row))
    folded = fold_terms(fleet, items[counts], rows[counts], terms, stands)
    for row, state, evaluated in zip(folded.rows.tolist(), folded.state, folded.evaluated.tolist(), strict=True):
        by_row[row].stand = Stand(state, evaluated)
    for change in folded.changes:
        by_row[fleet.row_of_key[change.pump]].turns.append(change)
    for recount in recounts:
        recount.read_to = int(read_to[recount.row])
    beyond = set(rows[~within].tolist())
    return [recount for recount in recounts if recount.row in beyond or int(fleet.keys[recount.row]) not in more]
