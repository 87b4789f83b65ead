"""What must be done now and then so that the store stays fit? Partitions made ahead, old ones dropped."""

import asyncio
from datetime import timedelta
from typing import Final

from service.logs import tell
from service.ports import Clock, Housekeeping, StoreUnavailableError

EVERY_S: Final = 3600.0
AGAIN_AFTER_TROUBLE_S: Final = 10.0
DAYS_BACK: Final = 2  # pumps deliver what they kept while they were offline
DAYS_AHEAD: Final = 7


async def maintain(store: Housekeeping, clock: Clock, retention_d: int, stop: asyncio.Event) -> None:
    """Look after the store once an hour until `stop`. Trouble is told and tried again; it stops nobody else."""
    while not stop.is_set():
        try:
            await look_after(store, clock, retention_d)
            pause_s = EVERY_S
        except StoreUnavailableError as error:
            tell("maintenance_postponed", reason=error)
            pause_s = AGAIN_AFTER_TROUBLE_S
        try:
            await asyncio.wait_for(stop.wait(), pause_s)
        except TimeoutError:
            continue


async def look_after(store: Housekeeping, clock: Clock, retention_d: int) -> None:
    today = clock().date()
    for day in await store.make_ahead(today - timedelta(days=DAYS_BACK), today + timedelta(days=DAYS_AHEAD)):
        tell("partition_made", day=day)
    for name in await store.drop_before(today - timedelta(days=retention_d)):
        tell("partition_dropped", name=name)
