"""How is a message that was kept aside read again? It comes out of the inbox among the others, and is crossed off once
what came of it is committed.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol

from service.logs import tell
from service.ports import Again, MarkedInbox, RawMessage, ShardStatus, StoreUnavailableError, Token

LOOK_EVERY_S: Final = 2.0
AT_ONCE: Final = 200
_AGAIN: Final = -(1 << 40)
"""The connection of their tokens, which is none."""


class ReplayStore(Protocol):
    """Raises StoreUnavailableError while the database is away."""

    async def asked(self, under_way: Collection[int], shards: Collection[int], most: int) -> Sequence[Again]:
        """Those that are to be read again and are not under way."""

    async def replayed(self, numbers: Collection[int]) -> None:
        """What came of them is committed."""


class Rereading:
    """A MarkedInbox with what people want read again beside what the broker sends.

    After a crash a message may be read twice: what is stored already changes nothing.
    """

    def __init__(
        self,
        inbox: MarkedInbox,
        store: ReplayStore,
        shards: Collection[int] | None = None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """`shards`: whose pumps are ours; None: those of which the inbox has a session."""
        self._inbox, self._store, self._shards, self._look_every_s = inbox, store, shards, look_every_s
        self._queue: deque[RawMessage] = deque()
        self._under_way: set[int] = set()
        self._done: set[int] = set()
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._inbox.start()

    async def close(self, *, graceful: bool = True) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
            self._looking = None
        await self._inbox.close(graceful=graceful)

    async def drain(self, max_messages: int, max_wait_s: float) -> list[RawMessage]:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_on(), name="replays")
        elif self._looking.done():
            self._looking.result()
        messages = await self._inbox.drain(max_messages, max_wait_s)
        while self._queue and len(messages) < max_messages:
            messages.append(self._queue.popleft())
        return messages

    def drain_ahead(self, max_messages: int) -> list[RawMessage]:
        return self._inbox.drain_ahead(max_messages)

    def settle(self, tokens: Sequence[Token]) -> None:
        if self._under_way:
            self._done.update(token.packet_id for token in tokens if token.connection == _AGAIN)
            tokens = [token for token in tokens if token.connection != _AGAIN]
        self._inbox.settle(tokens)

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        self._inbox.publish(messages)

    def send_marker(self) -> None:
        self._inbox.send_marker()

    @property
    def connection(self) -> int:
        return self._inbox.connection

    @property
    def problem(self) -> str:
        return self._inbox.problem

    @property
    def statuses(self) -> Mapping[int, ShardStatus]:
        return self._inbox.statuses

    @property
    def marker_seen_at(self) -> datetime | None:
        return self._inbox.marker_seen_at

    @property
    def held_bytes(self) -> int:
        return self._inbox.held_bytes

    async def _look_on(self) -> None:
        while True:
            with suppress(StoreUnavailableError):
                await self._look()
            await asyncio.sleep(self._look_every_s)

    async def _look(self) -> None:
        if done := set(self._done):
            await self._store.replayed(done)
            self._done -= done
            self._under_way -= done
            tell("quarantine_replayed", messages=len(done))
        room = AT_ONCE - len(self._under_way)
        shards = self.statuses.keys() if self._shards is None else self._shards
        for again in await self._store.asked(self._under_way, shards, room) if room else ():
            self._under_way.add(again.number)
            token = Token(_AGAIN, again.number)
            self._queue.append(RawMessage(token, again.topic, again.payload, again.received_ms))
