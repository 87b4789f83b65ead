"""How does one ingester hear many shards? A session each, which moves with its shard, and one queue for the loop."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from time import monotonic
from typing import Final

from service.core.shards import SHARDS, topic_filters
from service.metrics import Metrics
from service.mqtt.arrivals import Arrivals
from service.mqtt.credentials import Credentials
from service.mqtt.inbox import BUSY_A_SECOND, LINGER_S, MAX_HELD_BYTES, MAX_HELD_MESSAGES, MqttInbox
from service.ports import Clock, RawMessage, ShardStatus, Token

LINGER_AT_LEAST_S: Final = 0.01
"""What comes over many sessions comes in many small pieces: below this, a batch would be a message or two."""
LEAST_HELD_MESSAGES: Final = 2_500
LEAST_HELD_BYTES: Final = 8 * 1024 * 1024


class MqttInboxes:
    """Implements service.loops.shards.ShardedInbox. A token's connection says which shard it is of."""

    def __init__(
        self,
        broker_url: str,
        *,
        clock: Clock,
        metrics: Metrics,
        session_suffix: str = "",
        credentials: Credentials | None = None,
    ) -> None:
        self._broker_url, self._clock, self._metrics = broker_url, clock, metrics
        self._session_suffix, self._credentials = session_suffix, credentials
        self._parts: dict[int, MqttInbox] = {}
        self._turn = 0
        self._arrivals = Arrivals()
        self._drained_at = 0.0
        self._ahead = 0
        self._busy = False

    async def start(self) -> None:
        """Each session is begun as its shard is added."""

    async def add(self, shard: int, *, recorded: bool) -> None:
        """Begin to connect as that shard. `recorded`: the broker has had its session before."""
        part = MqttInbox(
            self._broker_url,
            f"pumpwatch-ingest-{shard}",
            topic_filters(shard),
            marker_topic=f"pumpwatch/marker/{shard}",
            clock=self._clock,
            metrics=self._metrics,
            session_recorded=recorded,
            session_suffix=self._session_suffix,
            credentials=self._credentials,
            max_held_bytes=max(MAX_HELD_BYTES // SHARDS, LEAST_HELD_BYTES),
            max_held_messages=max(MAX_HELD_MESSAGES // SHARDS, LEAST_HELD_MESSAGES),
            shard=shard,
            shards=SHARDS,
            on_arrival=self._arrived,
        )
        self._parts[shard] = part
        await part.start()

    async def remove(self, shard: int) -> None:
        """Leave the session to whoever has the shard next."""
        part = self._parts.pop(shard)
        await part.close()

    def pause(self, shard: int) -> None:
        """Take no more of it; what has been taken is still to be settled."""
        if shard in self._parts:
            self._parts[shard].pause()

    def is_settled(self, shard: int) -> bool:
        """Whether nothing of it is under way here, as far as it has come."""
        self._parts[shard].read()
        return self._parts[shard].held_messages == 0

    async def close(self, *, graceful: bool = True) -> None:
        parts, self._parts = self._parts, {}
        await asyncio.gather(*(part.close(graceful=graceful) for part in parts.values()))

    async def drain(self, max_messages: int, max_wait_s: float) -> list[RawMessage]:
        for part in self._parts.values():
            part.read()
        began = monotonic()
        linger_s = LINGER_S if self._busy else LINGER_AT_LEAST_S
        if self._queued or self._ahead or self._busy:
            until_s = self._drained_at + linger_s - began
            if self._queued < max_messages:
                await self._arrivals.wait_for(max_messages, min(max_wait_s, until_s))
        else:
            await self._arrivals.wait_for(1, max_wait_s)
        batch = self._taken(max_messages)
        now = monotonic()
        self._busy = len(batch) + self._ahead > BUSY_A_SECOND * (now - self._drained_at)
        self._drained_at, self._ahead = now, 0
        return batch

    def drain_ahead(self, max_messages: int) -> list[RawMessage]:
        batch = self._taken(max_messages)
        self._ahead += len(batch)
        return batch

    def settle(self, tokens: Sequence[Token]) -> None:
        for shard, own in groupby(sorted(tokens, key=_shard), key=_shard):
            if (part := self._parts.get(shard)) is not None:
                part.settle(list(own))

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Over any session that is connected: a receipt is for whoever subscribed to it."""
        connected = [part for part in self._parts.values() if not part.problem]
        if connected:
            self._turn += 1
            connected[self._turn % len(connected)].publish(messages)
        else:
            self._metrics.publishes_dropped.inc(len(messages))

    def send_marker(self) -> None:
        for part in self._parts.values():
            part.send_marker()

    @property
    def statuses(self) -> Mapping[int, ShardStatus]:
        return {shard: status for part in self._parts.values() for shard, status in part.statuses.items()}

    @property
    def marker_seen_at(self) -> datetime | None:
        """The oldest of those of all shards; None where one has none yet."""
        seen = [part.marker_seen_at for part in self._parts.values()]
        return None if None in seen else min(filter(None, seen), default=None)

    @property
    def connection(self) -> int:
        return max((part.connection for part in self._parts.values()), default=0)

    @property
    def problem(self) -> str:
        return next((part.problem for part in self._parts.values() if part.problem), "")

    @property
    def held_bytes(self) -> int:
        return sum(part.held_bytes for part in self._parts.values())

    @property
    def _queued(self) -> int:
        return sum(part.queued for part in self._parts.values())

    def _taken(self, max_messages: int) -> list[RawMessage]:
        """From each in turn, another one first each time: none waits for a shard of which much comes."""
        batch: list[RawMessage] = []
        parts = list(self._parts.values())
        self._turn += 1
        for number in range(len(parts)):
            if len(batch) >= max_messages:
                break
            batch += parts[(self._turn + number) % len(parts)].drain_ahead(max_messages - len(batch))
        return batch

    def _arrived(self) -> None:
        self._arrivals.came(self._queued)


def _shard(token: Token) -> int:
    return token.connection % SHARDS
