"""How does an ingester of a cluster take shards and give them back, while it goes on with those that it has?

Who is to have which is looked at each second, beside the batches (postgres/leases.py); what follows is done between two
of them. A shard is given back once all that it has sent us is settled: its session goes on where we stopped.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol

from service.core.leases import Looked, Won
from service.logs import tell
from service.loops.ingest import Ingester
from service.ports import MarkedInbox, StoreUnavailableError

LOOK_EVERY_S: Final = 1.0
GIVES_BACK_WITHIN_S: Final = 2.0
"""When it is to end, since whoever has asked for that does not wait for ever."""
PAUSED_AFTER_LOOKS: Final = 5
"""A shard is given back at a moment when nothing of it is under way. If none comes, no more is taken of it:"""
LEFT_AFTER_LOOKS: Final = 10
"""and then it is given back all the same. What was delivered and not settled is sent again, to the next one."""


class Leases(Protocol):
    async def look(self, held: Collection[int]) -> Looked:
        """Say that we live, claim what is ours to have. Raises StoreUnavailableError."""

    async def release(self, shards: Mapping[int, int]) -> None:
        """These, by their epochs, are anybody's. Raises StoreUnavailableError."""

    async def leave(self) -> None:
        """Live no longer."""


class ShardedInbox(MarkedInbox, Protocol):
    """One inbox over the sessions of many shards."""

    async def add(self, shard: int, *, recorded: bool) -> None: ...
    async def remove(self, shard: int) -> None: ...
    def pause(self, shard: int) -> None:
        """Take no more of it; what has been taken is still to be settled."""

    def is_settled(self, shard: int) -> bool: ...


class Shards:
    def __init__(self, leases: Leases, inbox: ShardedInbox, ingester: Ingester) -> None:
        self._leases, self._inbox, self._ingester = leases, inbox, ingester
        self._held: dict[int, int] = {}  # by shard its epoch
        self._won: list[Won] = []
        self._leaving: dict[int, int] = {}  # how often we have looked since it was to be given back
        self._gone: set[int] = set()  # not heard any more, and not released yet

    async def run(self, stop: asyncio.Event) -> None:
        """Take and give back, and go on until `stop`. Raises FencedError when a shard was taken from us."""
        await self._ingester.prepare()
        looking = asyncio.create_task(self._look_on(), name="leases")
        try:
            while not stop.is_set():
                if looking.done():
                    looking.result()
                await self._give_back()
                await self._take()
                await self._ingester.turn()
            looking.cancel()
            await asyncio.wait([looking])
            await self._give_all_back()
            await self._inbox.close()
            await self._ingester.end()
            with suppress(StoreUnavailableError):  # then others find out by themselves
                await self._leases.release({**self._held, **{each.shard: each.epoch for each in self._won}})
        finally:
            looking.cancel()
            await self._inbox.close(graceful=False)
            with suppress(StoreUnavailableError):
                await self._leases.leave()

    async def _give_all_back(self) -> None:
        """Each at a moment when nothing of it is under way; for the rest there is no time."""
        until_s = monotonic() + GIVES_BACK_WITHIN_S
        self._leaving = dict.fromkeys(self._held, 0)
        while self._leaving and monotonic() < until_s:
            await self._give_back()
            await self._ingester.turn()

    async def _look_on(self) -> None:
        told = ""
        while True:
            try:
                looked = await self._leases.look({*self._held, *(each.shard for each in self._won)})
            except StoreUnavailableError as error:
                if str(error) != told:
                    tell("leases_not_seen", logging.WARNING, reason=error)
                told = str(error)
            else:
                told = ""
                self._won += looked.won
                for shard in looked.give_back:
                    self._begin_to_leave(shard)
            await asyncio.sleep(LOOK_EVERY_S)

    def _begin_to_leave(self, shard: int) -> None:
        if shard in self._held and shard not in self._gone:
            self._leaving[shard] = self._leaving.get(shard, -1) + 1
            if self._leaving[shard] == PAUSED_AFTER_LOOKS:
                self._inbox.pause(shard)

    async def _take(self) -> None:
        won, self._won = self._won, []
        if not won:
            return
        epochs = {each.shard: each.epoch for each in won}
        self._held |= epochs
        await self._ingester.take(epochs)
        for each in won:
            await self._inbox.add(each.shard, recorded=each.recorded)

    async def _give_back(self) -> None:
        ready = [
            shard
            for shard, looks in self._leaving.items()
            if self._inbox.is_settled(shard) or looks >= LEFT_AFTER_LOOKS
        ]
        if not ready:
            return
        self._gone.update(ready)
        for shard in ready:
            del self._leaving[shard]
        await asyncio.gather(*(self._inbox.remove(shard) for shard in ready))
        await self._ingester.turn()  # what was read ahead of them
        await self._ingester.leave(ready)
        released = {shard: self._held[shard] for shard in ready}
        while True:
            try:
                await self._leases.release(released)
            except StoreUnavailableError:
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                break
        for shard in ready:
            del self._held[shard]
        self._gone.difference_update(ready)
