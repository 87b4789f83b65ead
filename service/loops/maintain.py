"""What must be done now and then so that the store stays fit? Room made ahead, old days dropped, late ones merged."""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Final

from service.core.relearn import HORIZON
from service.logs import tell
from service.ports import Clock, Housekeeping, StoreUnavailableError

EVERY_S: Final = 3600.0
MERGE_EVERY_S: Final = 60.0
AGAIN_AFTER_TROUBLE_S: Final = 10.0
DAYS_BACK: Final = HORIZON.days + 1  # what comes later than that waits to be merged
DAYS_AHEAD: Final = HORIZON.days

SLOTS_AT_ONCE: Final = 200
LONGEST_SLICE_S: Final = 0.5
FEWEST_A_SLICE, MOST_A_SLICE = 50, 20_000


async def maintain(store: Housekeeping, clock: Clock, retention_d: int, stop: asyncio.Event) -> None:
    """Look after the store until `stop`. Trouble is told and tried again; it stops nobody else."""
    looked_s = -EVERY_S
    slices = Slices()
    while not stop.is_set():
        try:
            if monotonic() - looked_s >= EVERY_S:
                await look_after(store, clock, retention_d)
                await forget_by_site(store, clock, retention_d, stop)
                looked_s = monotonic()
            pause_s = 0.0 if await merge_some(store, clock, slices, stop) else MERGE_EVERY_S
        except StoreUnavailableError as error:
            tell("maintenance_postponed", reason=error)
            pause_s = AGAIN_AFTER_TROUBLE_S
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await stop.wait()


async def look_after(store: Housekeeping, clock: Clock, retention_d: int) -> None:
    today = clock().date()
    for day in await store.make_ahead(today - timedelta(days=DAYS_BACK), today + timedelta(days=DAYS_AHEAD)):
        tell("partition_made", day=day)
    kept_d = await store.longest_kept_d(retention_d)
    for name in await store.drop_before(today - timedelta(days=kept_d)):
        tell("partition_dropped", name=name)
    if gone := await store.forget_changes(clock()):
        tell("changes_forgotten", rows=gone)


async def forget_by_site(store: Housekeeping, clock: Clock, retention_d: int, stop: asyncio.Event) -> None:
    """Delete what some sites keep less long than others, a day of one site a transaction."""
    while not stop.is_set() and (gone := await store.forget_a_day(clock().date(), retention_d)):
        if gone.readings:
            tell("readings_forgotten", site=gone.site or None, day=gone.day, readings=gone.readings)


class Slices:
    """How many readings are merged at once: as many as take half a second here."""

    def __init__(self) -> None:
        self.most = 1_000

    def took(self, seconds: float) -> None:
        if seconds > LONGEST_SLICE_S:
            self.most = max(FEWEST_A_SLICE, self.most // 2)
        elif seconds < LONGEST_SLICE_S / 4:
            self.most = min(MOST_A_SLICE, self.most * 2)


async def merge_some(store: Housekeeping, clock: Clock, slices: Slices, stop: asyncio.Event) -> bool:
    """Merge what waits of some days of pumps, a slice a transaction; return whether something may be left.

    What is measured still later than the days made ahead, by a clock that is off, waits for its time to come.
    """
    counted: Counter[str] = Counter()
    slots = await store.waiting(clock().date() + timedelta(days=DAYS_AHEAD + 1), SLOTS_AT_ONCE)
    for slot in slots:
        whole = False
        while not whole and not stop.is_set():
            began, most = monotonic(), slices.most
            merged = await store.merge(slot, most, clock())
            slices.took(monotonic() - began)
            whole = sum(merged) < most
            counted.update(merged._asdict())
    if slots:
        tell("late_readings_merged", days_of_pumps=len(slots), **counted)
    return len(slots) == SLOTS_AT_ONCE and not stop.is_set()
