"""How do messages get from the broker to the ingest loop, and PUBACKs back, over any number of connections?

The session is persistent; a message is named by (connection, packet id); it is settled only on the
connection that delivered it; what is held is bounded by leaving the socket unread for a moment, then by disconnecting:
docs/decisions/0006-a-full-inbox-pauses.md.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from random import SystemRandom
from secrets import token_hex
from time import monotonic
from typing import Final

from service.logs import tell
from service.metrics import Metrics
from service.mqtt.arrivals import Arrivals, next_retry_s
from service.mqtt.client import PlainClient, best_client
from service.mqtt.connecting import brokers_of, check_topic_filter
from service.mqtt.credentials import Credentials
from service.mqtt.held import Held
from service.mqtt.link import LEAVE_WITHIN_S, Link
from service.mqtt.packets import Publish
from service.ports import Clock, RawMessage, ShardStatus, Token

MAX_HELD_BYTES: Final = 256 * 1024 * 1024
MAX_HELD_MESSAGES: Final = 50_000
"""Below the 65,535 packet ids that there are, above what a broker should send unsettled (20,000)."""

PAUSE_AT_MOST_S: Final = 10.0
"""Beyond those bounds what comes is left in the socket until a batch is settled; the connection is left if none is for
so long, which is less than the keepalive.
"""

KEEPALIVE_S: Final = 15

BUSY_A_SECOND: Final = 2_000
LINGER_S: Final = 0.025
"""From `BUSY_A_SECOND` messages a second on, batches are drained at most this often: fewer, larger transactions."""


class MqttInbox:
    """Implements service.ports.Inbox on the running event loop, without threads.

    `client_id` names the session and is fixed; `session_recorded` says that an earlier process has had it;
    `session_suffix` ends its name, in secret.
    """

    def __init__(
        self,
        broker_url: str,
        client_id: str,
        topic_filters: Sequence[str],
        *,
        marker_topic: str,
        clock: Clock,
        metrics: Metrics,
        session_recorded: bool = False,
        session_suffix: str = "",
        credentials: Credentials | None = None,
        max_held_bytes: int = MAX_HELD_BYTES,
        max_held_messages: int = MAX_HELD_MESSAGES,
        pause_at_most_s: float = PAUSE_AT_MOST_S,
        keepalive_s: int = KEEPALIVE_S,
        shard: int = 0,
        shards: int = 1,
        on_arrival: Callable[[], None] = lambda: None,
        paho: type[PlainClient] | None = None,
    ) -> None:
        if "." in client_id or not client_id:
            raise ValueError("a persistent session needs a client id, and NATS wants none with a dot in it")
        self._brokers = brokers_of(broker_url, credentials)
        self._tries = shard  # lest all sessions be on one node of a cluster
        self._broker = self._brokers[self._tries % len(self._brokers)]
        self._name, self._client_id = client_id, client_id + session_suffix  # the name is logged
        self._subscriptions = [(check_topic_filter(topic), 1) for topic in topic_filters] + [(marker_topic, 0)]
        self._marker_topic = marker_topic
        self._clock = clock
        self._metrics = metrics
        self._paho = paho or best_client()
        self._keepalive_s = keepalive_s
        self._shard = shard
        self._held = Held(max_held_bytes, max_held_messages, shard, shards)
        self._on_arrival = on_arrival
        self._link: Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._pause_at_most_s = pause_at_most_s
        self._pause_ends: asyncio.TimerHandle | None = None
        self._problem = "not started"
        self._session_recorded = session_recorded
        self._session_present: bool | None = None
        self._sessions_lost = 0
        self._session_lost_at: datetime | None = None
        self._nonce = token_hex(4)
        self._markers: deque[tuple[int, datetime]] = deque(maxlen=64)  # (arrived before it, when it came back)
        self._marker_seen_at: datetime | None = None
        self._session_since: datetime | None = None
        self._arrivals = Arrivals()
        self._drained_at = 0.0
        self._ahead = 0  # drained since then
        self._busy = False

    async def start(self) -> None:
        """Begin to connect. Returns at once, whether there is a broker or not; `problem` says how it goes."""
        self._problem = f"{self._broker}: connecting"
        self._keeper = asyncio.create_task(self._stay_connected(), name=f"mqtt {self._name}")

    async def close(self, *, graceful: bool = True) -> None:
        """Stop. The session stays at the broker; graceful: what was settled is sent before DISCONNECT."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        if graceful and self._link is not None and not self._problem:
            self._link.leave("closed")
            await asyncio.wait([keeper], timeout=LEAVE_WITHIN_S)
        keeper.cancel()
        await asyncio.wait([keeper])
        self._problem = "closed"

    async def drain(self, max_messages: int, max_wait_s: float) -> list[RawMessage]:
        """See service.ports. Under load a batch is `LINGER_S` of messages, unless `max_messages` come before."""
        self.read()
        began = monotonic()
        if self._busy and self._held.queued < max_messages:
            await self._arrivals.wait_for(max_messages, min(max_wait_s, self._drained_at + LINGER_S - began))
        if self._held.queued == 0 and self._ahead == 0:
            await self._arrivals.wait_for(1, began + max_wait_s - monotonic())
        batch = self._held.drain(max_messages)
        now = monotonic()
        self._busy = len(batch) + self._ahead > BUSY_A_SECOND * (now - self._drained_at)
        self._drained_at, self._ahead = now, 0
        self._after_change()
        return batch

    def drain_ahead(self, max_messages: int) -> list[RawMessage]:
        batch = self._held.drain(max_messages)
        self._ahead += len(batch)
        return batch

    def read(self) -> None:
        """Look for what the kernel has, beyond what the loop has had time to look for."""
        if self._link is not None:
            self._link.read()

    def pause(self) -> None:
        """Take no more of this connection; what was taken is still to be settled."""
        if self._link is not None:
            self._link.pause()

    def settle(self, tokens: Sequence[Token]) -> None:
        settled = self._held.settle(tokens)
        if settled.packet_ids and self._link is not None:
            self._link.settle(settled.packet_ids)
            self._metrics.settled.inc(len(settled.packet_ids))
        if settled.earlier_connection:
            self._metrics.tokens_forgotten.labels("earlier_connection").inc(settled.earlier_connection)
        if settled.unknown:
            self._metrics.tokens_forgotten.labels("unknown").inc(settled.unknown)
        self._after_change()

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        sent = 0 if self._link is None else self._link.publish(messages)
        if sent < len(messages):
            self._metrics.publishes_dropped.inc(len(messages) - sent)

    @property
    def connection(self) -> int:
        return self._held.connection

    @property
    def problem(self) -> str:
        return self._problem

    @property
    def session_present(self) -> bool | None:
        """What the newest CONNACK said; None before the first."""
        return self._session_present

    @property
    def sessions_lost(self) -> int:
        """How often the broker had forgotten a session that it once had: what it held for us is gone."""
        return self._sessions_lost

    @property
    def queued(self) -> int:
        return self._held.queued

    @property
    def statuses(self) -> Mapping[int, ShardStatus]:
        return {
            self._shard: ShardStatus(self._marker_seen_at, self._session_since, self._problem, self._session_lost_at)
        }

    @property
    def held_messages(self) -> int:
        return self._held.messages

    @property
    def held_bytes(self) -> int:
        return self._held.bytes

    def send_marker(self) -> None:
        """Publish a mark through the broker to ourselves."""
        self.publish([(self._marker_topic, self._nonce.encode())])

    @property
    def marker_seen_at(self) -> datetime | None:
        """When the newest marker came back, of those before which all that arrived is settled.

        None before the first and after the connection has ended: then nothing shows that we hear the pumps.
        """
        return self._marker_seen_at

    @property
    def session_since(self) -> datetime | None:
        """When the subscription was last accepted; None before the first time."""
        return self._session_since

    @property
    def session_lost_at(self) -> datetime | None:
        """When it was last found that the broker had forgotten the session; None if it has not."""
        return self._session_lost_at

    # --- Listener: called from within paho

    def on_accepted(self, *, session_present: bool) -> None:
        self._held.began()
        self._session_present = session_present
        self._metrics.broker_connections.inc()
        if self._session_recorded and not session_present:
            self._sessions_lost += 1
            self._session_lost_at = self._clock()
            self._metrics.broker_sessions_lost.inc()
            tell("broker_session_lost", logging.ERROR, client_id=self._name, connection=self.connection)

    def on_subscribed(self) -> None:
        self._session_recorded = True
        self._session_since = self._clock()
        self._problem = ""
        tell(
            "broker_connected",
            broker=self._broker,
            client_id=self._name,
            connection=self.connection,
            session_present=self._session_present,
        )

    def on_publishes(self, publishes: list[Publish]) -> None:
        redelivered = self._held.redelivered
        agreed = self._held.take(publishes, self._now_ms())
        if self._held.redelivered > redelivered:
            self._metrics.messages_discarded.labels("pending_already").inc(self._held.redelivered - redelivered)
        if not agreed and self._link is not None:
            self._link.leave("sent another message under a packet id that is pending")
        self._after_arrival()

    def on_qos_0(self, topic: bytes, payload: bytes) -> None:
        if topic != self._marker_topic.encode():
            self._held.take_loose(topic, payload, self._now_ms())
            self._after_arrival()
        elif payload == self._nonce.encode():  # not another process's
            self._markers.append((self._held.arrived, self._clock()))
            self._after_change()

    def on_ended(self) -> None:
        self._end_pause()
        self._held.ended()
        self._markers.clear()
        self._marker_seen_at = None

    async def _stay_connected(self) -> None:
        retry_s, told = 0.0, ""
        while True:
            await self._roomy.wait()
            self._broker = self._brokers[self._tries % len(self._brokers)]
            self._tries += 1
            self._link = Link(self._paho, self._broker, self._client_id, self._subscriptions, self, self._keepalive_s)
            began, connection = monotonic(), self.connection
            try:
                reason = await self._link.live()
            finally:
                self._link = None
            if self._keeper is None:
                return
            if self.connection > connection:
                told = ""
            if reason != told:
                tell("broker_connection_ended", logging.WARNING, reason=reason, connection=self.connection)
                told = reason
            self._problem = reason
            retry_s = next_retry_s(retry_s, monotonic() - began)
            await asyncio.sleep(SystemRandom().uniform(0.5, 1.0) * retry_s)

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)

    def _after_arrival(self) -> None:
        if self._held.full and self._link is not None and self._pause_ends is None:
            self._link.pause()
            self._pause_ends = asyncio.get_running_loop().call_later(self._pause_at_most_s, self._leave_until_roomy)
        self._arrivals.came(self._held.queued)
        self._on_arrival()

    def _leave_until_roomy(self) -> None:
        self._pause_ends = None
        if self._link is not None:
            self._roomy.clear()
            self._link.leave("disconnected until less is held")

    def _end_pause(self) -> None:
        if self._pause_ends is not None:
            self._pause_ends.cancel()
            self._pause_ends = None

    def _after_change(self) -> None:
        passed = self._held.passed
        while self._markers and self._markers[0][0] <= passed:
            self._marker_seen_at = self._markers.popleft()[1]
        if not self._roomy.is_set() and self._held.roomy:
            self._roomy.set()
        if self._pause_ends is not None and not self._held.full:
            self._end_pause()
            if self._link is not None:
                self._link.resume()
        self._metrics.held_bytes.set(self._held.bytes)
