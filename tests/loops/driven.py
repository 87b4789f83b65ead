"""An ingester that is fed by hand: messages from a list, the real store, and a clock that stands where the test puts
it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from service.core.fleet import Fleet
from service.core.rulebook import DEFAULT_RULEBOOK
from service.loops.ingest import Ingester
from service.loops.rulebook import RulebookSource
from service.metrics import Metrics
from service.ports import RawMessage, ShardStatus, Token
from service.postgres.alerts import AlertStore
from service.postgres.ingest_store import PostgresIngestStore
from tests.pumps import MINUTE_MS, NOON_MS


class Feed:
    """The broker's side of an inbox, as far as the loop can see it: brokers themselves are tested in tests/mqtt."""

    def __init__(self) -> None:
        self.queue: list[RawMessage] = []
        self.settled: list[int] = []
        self.receipts: list[tuple[str, int, int]] = []
        self.marker_seen_at: datetime | None = None
        self.session_since: datetime | None = None
        self.session_lost_at: datetime | None = None
        self.problem, self.connection, self.held_bytes = "", 1, 0

    @property
    def statuses(self) -> dict[int, ShardStatus]:
        return {0: ShardStatus(self.marker_seen_at, self.session_since, self.problem, self.session_lost_at)}

    async def start(self) -> None: ...

    async def close(self, *, graceful: bool = True) -> None: ...

    def send_marker(self) -> None: ...

    async def drain(self, max_messages: int, max_wait_s: float) -> list[RawMessage]:  # noqa: ARG002 - never waits
        drained, self.queue = self.queue[:max_messages], self.queue[max_messages:]
        return drained

    def drain_ahead(self, max_messages: int) -> list[RawMessage]:  # noqa: ARG002 - a test's messages are one batch
        return []

    def settle(self, tokens: Sequence[Token]) -> None:
        self.settled += [token.packet_id for token in tokens]

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        for topic, payload in messages:
            receipt = msgspec.json.decode(payload)
            self.receipts.append((topic.removeprefix("receipts/v1/"), receipt["boot"], receipt["through"]))


class Driven:
    """One ingester over `url`; `restart` throws it away as a crash would, and begins anew from what is stored."""

    def __init__(self, url: str, *, enrolment_open: bool = True, rulebook: Path | None = None) -> None:
        self._url = url
        self._rulebook = rulebook
        self._enrolment_open = enrolment_open
        self._sent = 0
        self.now_ms = NOON_MS + 240 * MINUTE_MS  # after every reading: no clock is ahead of ours
        self.feed = Feed()

    async def start(self) -> None:
        self.store = PostgresIngestStore(self._url, 0, AlertStore(DEFAULT_RULEBOOK))
        source = RulebookSource(self._rulebook, self.store.overrides)
        self.fleet = Fleet(await source.look(self._clock()))
        self.metrics = Metrics(CollectorRegistry())
        self.ingester = Ingester(
            self.feed,
            self.store,
            self.fleet,
            self.metrics,
            self._clock,
            enrolment_open=self._enrolment_open,
            rulebooks=source,
        )
        await self.ingester.begin("test")

    async def restart(self) -> None:
        await self.store.close()
        await self.start()

    def send(self, pump_id: str, payload: dict[str, object], kind: str = "telemetry") -> int:
        """Queue one message; its number is its packet id."""
        self._sent += 1
        topic = f"pumps/v1/{pump_id}/{kind}".encode()
        self.feed.queue.append(RawMessage(Token(1, self._sent), topic, msgspec.json.encode(payload), self.now_ms))
        return self._sent

    async def turn(self) -> None:
        while self.feed.queue or self.ingester.carries:
            await self._one_turn()

    async def wait_ms(self, ms: int) -> None:
        """Let our clock go on, and one empty turn with it."""
        self.now_ms += ms
        await self._one_turn()

    async def _one_turn(self) -> None:
        await self.ingester.turn()
        await self.ingester.last_heard.written()

    async def look_for_changes(self) -> None:
        """Long enough for a change of rulebook or registry to be seen, and taken."""
        for _ in range(3):
            await self.wait_ms(2_000)

    def _clock(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms / 1000, UTC)


def telemetry(
    first_seq: int,
    flows: Sequence[float],
    *,
    boot: int = 1,
    held_from: Sequence[int] = (1, 0),
    program_ml_d: float = 0.5,
) -> dict[str, object]:
    """A message of one reading a minute, `first_seq` minutes after noon; `flows` are fractions of the program."""
    count = len(flows)
    return {
        "boot": boot,
        "seq": first_seq,
        "time_ms": [NOON_MS + (first_seq + number) * MINUTE_MS for number in range(count)],
        "mode": ["running"] * count,
        "program_ml_d": [program_ml_d] * count,
        "flow_ml_d": [program_ml_d * flow for flow in flows],
        "reservoir_ml": [18.0] * count,
        "battery_v": [2.9] * count,
        "held_from": list(held_from),
        "simulated": True,
    }
