"""How do new limits take effect? At a position of each pump: checkpoint and limits are committed, then used."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from service.core.change import Change
from service.core.fleet import Fleet, PumpEntry
from service.core.in_force import switched_on
from service.core.pump_rules import Term
from service.loops.recover import checkpoints_of, to_ms
from service.ports import IngestStore, RulesChange

PUMPS_AT_ONCE: Final = 1_000


async def put_in_force(store: IngestStore, fleet: Fleet, entries: Sequence[PumpEntry], now: datetime) -> int:
    """Judge these pumps by what rulebook and registry say now, from their evaluated positions on.

    Return of how many that changes anything. After a crash in between it is done for the others. Pumps that are yet to
    be relearned are left out: it is done once they are.
    """
    fleet.add(entries)
    entries = [entry for entry in entries if fleet.row_of_key[entry.key] not in fleet.unlearned]
    changed = 0
    for at in range(0, len(entries), PUMPS_AT_ONCE):
        some = entries[at : at + PUMPS_AT_ONCE]
        due = {fleet.row_of_key[entry.key]: term for entry, term in zip(some, fleet.due(some), strict=True)}
        new = {row: term for row, term in due.items() if fleet.is_new(row, term)}
        if new:
            await _commit(store, fleet, new, now)
        for entry in some:
            fleet.facts[fleet.row_of_key[entry.key]] = entry.facts
        changed += len(new)
    return changed


async def _commit(store: IngestStore, fleet: Fleet, new: Mapping[int, Term], now: datetime) -> None:
    rows = [row for row in new if fleet.ledger.evaluated[row] >= 0]
    turns: list[Change] = []
    for row in rows:
        turns += switched_on(int(fleet.keys[row]), fleet.rules[row], new[row], fleet.state[row])
    terms = {int(fleet.keys[row]): term for row, term in new.items()}
    await store.put_in_force(RulesChange(fleet.rulebook, terms, checkpoints_of(fleet, rows), turns), now)
    fleet.adopt(dict(new))
    fleet.checkpointed[rows] = fleet.ledger.evaluated[rows]
    fleet.checkpointed_ms[rows] = to_ms(now)
