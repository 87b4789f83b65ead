"""When is what was last heard written, and who repeats itself? Once a second at most, beside the batches and never in
their way.
"""

import asyncio
from typing import Final

import numpy as np

from service.core.fleet import Fleet
from service.loops.recover import to_ms
from service.loops.repeating import Repeating
from service.ports import Clock, IngestStore, MarkedInbox

AT_ONCE: Final = 5_000
"""Pumps in one transaction: the loop has other things to do between two of them."""


class LastHeard:
    def __init__(
        self, store: IngestStore, fleet: Fleet, inbox: MarkedInbox, clock: Clock, repeating: Repeating
    ) -> None:
        self._store, self._fleet, self._inbox, self._clock = store, fleet, inbox, clock
        self._repeating = repeating
        self._under_way: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Write it, unless that is still under way. Raises what the last time has raised, as FencedError."""
        if self._under_way is not None:
            if not self._under_way.done():
                return
            self._under_way.result()
        self._under_way = asyncio.create_task(self._save(), name="last heard")

    async def written(self) -> None:
        """Wait for what is under way."""
        if self._under_way is not None:
            await self._under_way

    async def save(self) -> None:
        """Write all there is, now."""
        await self.written()
        await self._save()

    async def _save(self) -> None:
        inbox, fleet = self._inbox, self._fleet
        # First: what arrived before that marker is among the rows, and silence is judged as of the marker.
        statuses = inbox.statuses
        rows = np.flatnonzero(fleet.unsaved)
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            fleet.unsaved[some] = False
            await self._store.save_latest(fleet, some)
        await self._store.save_shards(statuses, self._clock())
        now = self._clock()
        if told := self._repeating.news(to_ms(now)):
            await self._store.save_repeating(told, now)
