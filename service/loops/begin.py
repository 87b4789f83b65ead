"""In what order does an ingester begin? What was in force, where it was, what followed; then what is in force now."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from service.core.fleet import Fleet
from service.loops.in_force import put_in_force
from service.loops.recover import enter, recover, stand_at
from service.ports import IngestStore


class Begun(NamedTuple):
    """What is left to do once the shard hears, by row."""

    behind: list[int]
    unlearned: list[int]  # those whose remembered state cannot be read
    late_from: Mapping[int, int]  # those that are to be worked out again, since something came late


async def begin(store: IngestStore, fleet: Fleet, now: datetime, shards: Collection[int] | None = None) -> Begun:
    """Load the pumps of all shards that are ours, or of these, and bring them to where an ingester that never stopped
    would be.
    """
    entries = await store.pumps(shards=shards)
    await enter(store, fleet, entries)
    # Those that were never judged are from their beginning on as they would be now.
    await put_in_force(store, fleet, [entry for entry in entries if fleet.is_unjudged(entry)], now)
    found = await store.recovered(shards)
    stand_at(fleet, found)
    unlearned = [fleet.row_of_key[key] for key in found.unreadable]
    fleet.unlearned |= set(unlearned)
    behind = await recover(store, fleet, found, now)
    await put_in_force(store, fleet, entries, now)
    return Begun(behind, unlearned, {fleet.row_of_key[key]: at for key, at in found.rebuild_from.items()})
