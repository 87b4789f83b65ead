"""In what order does an ingester begin? What was in force, where it was, what followed; then what is in force now."""

from datetime import datetime

from service.core.fleet import Fleet
from service.loops.in_force import put_in_force
from service.loops.recover import enter, recover, stand_at
from service.loops.relearn import relearn
from service.ports import IngestStore


async def begin(store: IngestStore, fleet: Fleet, now: datetime) -> list[int]:
    """Load the shard's pumps and bring them to where an ingester that never stopped would be.

    Return the rows of those that are still behind by a long backlog.
    """
    entries = await store.pumps()
    await enter(store, fleet, entries)
    # Those that were never judged are from their beginning on as they would be now.
    await put_in_force(store, fleet, [entry for entry in entries if fleet.is_unjudged(entry)], now)
    found = await store.recovered()
    stand_at(fleet, found)
    await relearn(store, fleet, [fleet.row_of_key[key] for key in found.unreadable], now)
    behind = await recover(store, fleet, found, now)
    await put_in_force(store, fleet, entries, now)
    return behind
