"""Which messages do we hold, and which PUBACKs may go out now?

A message is *queued* until it is drained, *lent* until the caller settles it, and *pending* until its PUBACK goes out.
PUBACKs leave in the order of arrival (MQTT 3.1.1, 4.6), so one that is settled early waits for those before it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from service.mqtt.packets import Publish
from service.ports import RawMessage, Token

LARGEST_BATCH_BYTES: Final = 4 * 1024 * 1024
"""Payloads in one batch, whatever the number of messages asked for: some 75,000 readings where a message is an hour."""


class Settled(NamedTuple):
    packet_ids: list[int]  # whose PUBACKs go out now, in order of arrival
    earlier_connection: int  # tokens forgotten, since their connection has ended
    unknown: int  # tokens forgotten, since they were settled before or never drained


class Held:
    def __init__(self, max_bytes: int, max_messages: int, shard: int = 0, shards: int = 1) -> None:
        """Connections are counted so that no two of so many shards have one of the same number."""
        self.max_bytes = max_bytes
        self.max_messages = max_messages
        self.connection = shard
        self._shards = shards
        self.redelivered = 0  # discarded, since the same message was pending under the same id
        self.arrived = 0
        self._live = False
        self._queue: deque[RawMessage] = deque()
        self._pending: dict[int, RawMessage] = {}
        self._order: deque[int] = deque()  # the pending ids as they arrived
        self._lent: set[int] = set()
        self._settled: set[int] = set()  # and waiting for an earlier one
        self._pending_bytes = 0
        self._stale_messages = 0  # queued, of a connection that has ended
        self._stale_bytes = 0
        self._loose_messages = 0  # queued, and came at QoS 0
        self._loose_bytes = 0

    def began(self) -> None:
        self.ended()
        self.connection += self._shards
        self._live = True

    def ended(self) -> None:
        """Forget the packet ids: they mean nothing outside their connection. What is queued is still drained."""
        if not self._live:
            return
        self._live = False
        self._pending.clear()
        self._order.clear()
        self._lent.clear()
        self._settled.clear()
        self._pending_bytes = 0
        stale = [message for message in self._queue if message.token.packet_id]
        self._stale_messages = len(stale)
        self._stale_bytes = sum(len(message.payload) for message in stale)

    def take(self, publishes: Iterable[Publish], received_ms: int) -> bool:
        """Queue what arrived. False, and nothing further is taken, if an id is pending with other bytes."""
        pending, queue, order = self._pending, self._queue, self._order
        connection, new = self.connection, tuple.__new__
        queued, taken_bytes, agreed = len(queue), 0, True
        for packet_id, topic, payload in publishes:
            if packet_id in pending:
                known = pending[packet_id]
                if known.payload != payload or known.topic != topic:
                    agreed = False
                    break
                self.redelivered += 1
                continue
            # As RawMessage(Token(…), …), at half the cost.
            message: RawMessage = new(RawMessage, (new(Token, (connection, packet_id)), topic, payload, received_ms))
            pending[packet_id] = message
            queue.append(message)
            order.append(packet_id)
            taken_bytes += len(payload)
        self.arrived += len(queue) - queued
        self._pending_bytes += taken_bytes
        return agreed

    def take_loose(self, topic: bytes, payload: bytes, received_ms: int) -> None:
        """Queue a message that came at QoS 0: it has no packet id, and needs no PUBACK."""
        self._queue.append(RawMessage(Token(self.connection, 0), topic, payload, received_ms))
        self._loose_messages += 1
        self._loose_bytes += len(payload)

    def drain(self, max_messages: int) -> list[RawMessage]:
        queue = self._queue
        count = min(max_messages, len(queue))
        if self.bytes > LARGEST_BATCH_BYTES:
            count = self._fitting(count)
        batch = [queue.popleft() for _ in range(count)]
        lent = self._let_go(batch) if self._stale_messages or self._loose_messages else batch
        self._lent.update([message[0][1] for message in lent])
        return batch

    def _let_go(self, batch: list[RawMessage]) -> list[RawMessage]:
        """Forget what cannot be settled; return the others."""
        lent: list[RawMessage] = []
        for message in batch:
            if message.token.packet_id == 0:
                self._loose_messages -= 1
                self._loose_bytes -= len(message.payload)
            elif message.token.connection != self.connection or not self._live:
                self._stale_messages -= 1
                self._stale_bytes -= len(message.payload)
            else:
                lent.append(message)
        return lent

    def _fitting(self, count: int) -> int:
        total = 0
        for number, message in enumerate(self._queue):
            total += len(message.payload)
            if number == count or total > LARGEST_BATCH_BYTES:
                return max(number, 1)
        return count

    def settle(self, tokens: Sequence[Token]) -> Settled:
        connection = self.connection if self._live else -1
        packet_ids = [token[1] for token in tokens if token[0] == connection and token[1]]
        to_settle = len(tokens) - sum(1 for token in tokens if not token[1])
        now_settled = self._lent.intersection(packet_ids)
        self._lent -= now_settled
        settled, order, pending = self._settled, self._order, self._pending
        settled |= now_settled
        released: list[int] = []
        while order and order[0] in settled:
            packet_id = order.popleft()
            settled.remove(packet_id)
            self._pending_bytes -= len(pending.pop(packet_id)[2])
            released.append(packet_id)
        return Settled(released, to_settle - len(packet_ids), len(packet_ids) - len(now_settled))

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def messages(self) -> int:
        """Received, and neither PUBACKed nor, where that is no longer possible, drained."""
        return len(self._pending) + self._stale_messages + self._loose_messages

    @property
    def bytes(self) -> int:
        return self._pending_bytes + self._stale_bytes + self._loose_bytes

    @property
    def passed(self) -> int:
        """How many have arrived, at QoS 1, before the oldest of them that we hold."""
        return self.arrived - len(self._pending) - self._stale_messages

    @property
    def full(self) -> bool:
        return self.bytes > self.max_bytes or self.messages > self.max_messages

    @property
    def roomy(self) -> bool:
        """Low enough to connect again: at half, lest we disconnect at once."""
        return self.bytes <= self.max_bytes // 2 and self.messages <= self.max_messages // 2
