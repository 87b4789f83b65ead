"""When is what was last heard written, and who repeats itself? Once a second at most, beside the batches and never in
their way.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import numpy as np

from service.core.fleet import Fleet
from service.loops.recover import to_ms
from service.loops.repeating import Repeating
from service.ports import Clock, IngestStore, MarkedInbox, ShardStatus

AT_ONCE: Final = 5_000
"""Pumps in one transaction: the loop has other things to do between two of them."""

LONGEST_ROUND_S: Final = 8
"""A fleet of which every pump speaks each second is written in so many shares, one a second: batches come first. At a
message a minute and pump, and some thousands at once, all that was heard in a second is written after it.
"""


class LastHeard:
    def __init__(
        self, store: IngestStore, fleet: Fleet, inbox: MarkedInbox, clock: Clock, repeating: Repeating
    ) -> None:
        self._store, self._fleet, self._inbox, self._clock = store, fleet, inbox, clock
        self._repeating = repeating
        self._under_way: asyncio.Task[None] | None = None
        self._left = np.zeros(0, np.intp)  # rows that are yet to be written before the shards are what they were then
        self._statuses: Mapping[int, ShardStatus] = {}

    def begin(self) -> None:
        """Write a second's share, unless the last is still under way. Raises what that has raised, as FencedError."""
        if self._under_way is not None:
            if not self._under_way.done():
                return
            self._under_way.result()
        self._under_way = asyncio.create_task(self._save(self._share), name="last heard")

    async def written(self) -> None:
        """Wait for what is under way."""
        if self._under_way is not None:
            await self._under_way

    @property
    def _share(self) -> int:
        return max(AT_ONCE, len(self._fleet) // LONGEST_ROUND_S)

    async def save(self) -> None:
        """Write all there is, now."""
        await self.written()
        if len(self._left):
            await self._save(len(self._left))
        await self._save(len(self._fleet))

    async def _save(self, most: int) -> None:
        """Write what was heard of `most` pumps; how the shards are, once that of all that had been heard by then is."""
        inbox, fleet = self._inbox, self._fleet
        if not len(self._left):
            # First: what arrived before that marker is among the rows, and silence is judged as of the marker.
            self._statuses = inbox.statuses
            self._left = np.flatnonzero(fleet.unsaved)
        rows, self._left = self._left[:most], self._left[most:]
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            fleet.unsaved[some] = False
            await self._store.save_latest(fleet, some)
        statuses = _without_times(inbox.statuses) if len(self._left) else self._statuses
        await self._store.save_shards(statuses, self._clock())
        now = self._clock()
        if told := self._repeating.news(to_ms(now)):
            await self._store.save_repeating(told, now)


def _without_times(statuses: Mapping[int, ShardStatus]) -> dict[int, ShardStatus]:
    return {shard: ShardStatus(None, None, status.problem) for shard, status in statuses.items()}
