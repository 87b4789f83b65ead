"""What does a run of failures stand on? Servers to kill, an ingester, a fleet with its journal: all real."""

import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import msgspec

from service.core.registry import parse_registry
from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from service.postgres.endpoints import add_endpoint
from service.postgres.migrate import migrate
from service.postgres.registry import upsert
from tests.benchmarks.processes import ended, started
from tests.failures.checker import Label
from tests.failures.ingester import Ingester
from tests.failures.said import Said
from tests.keys import VAULT
from tests.patience import until, until_found, until_true
from tests.servers import MosquittoServer

NATS, MOSQUITTO = "nats", "mosquitto"
LIVE_S, DRAIN_S = 3600.0, 180.0


class Broker(Protocol):
    @property
    def mqtt_url(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True)
class Load:
    """What the fleet does: its last `hours`, a reading a minute and a message, at `rate` messages a second; then live,
    each pump once a second, until it is told to end.
    """

    pumps: int
    hours: float
    rate: int
    seed: int

    @property
    def readings(self) -> int:
        """Of the last hours."""
        return round(self.pumps * self.hours * 60)


class FleetReport(msgspec.Struct):
    ended_ms: int
    tally: dict[str, int]
    held_items: int


class Fleet:
    """`pumpsim fleet` with everything that it writes down."""

    def __init__(self, directory: Path, load: Load, *words: object) -> None:
        """`words`: more for its command line."""
        self.load = load
        self._words = words
        self.registry = directory / "fleet.csv"
        self._labels = directory / "labels.json"
        self._report = directory / "report.json"
        self._journal = directory / "journal.ndjson"
        self._log = directory / "fleet.log"
        self.said = Said(self._journal)
        self._child: Process | None = None

    async def write_registry(self) -> None:
        child = await started([*self._command("registry"), "--out", self.registry], log=self._log)
        assert await child.wait() == 0

    @asynccontextmanager
    async def running(self, broker_url: str) -> AsyncIterator[None]:
        span = ["--backlog-hours", self.load.hours, "--live-s", LIVE_S, "--drain-s", DRAIN_S]
        publishing = ["--broker", broker_url, "--readings-a-message", 1, "--max-rate", self.load.rate]
        writing = ["--labels", self._labels, "--report", self._report, "--journal", self._journal]
        command = [*self._command("fleet"), *span, *publishing, *writing, *self._words]
        self._child = await started(command, log=self._log)
        async with ended(self._child):
            yield

    async def measures_more(self, a_pump: int) -> None:
        """It measures no more than it can send, so as much was sent: to a broker, whether that keeps it or not."""
        messages = a_pump * self.load.pumps
        goal = len(self.said.read_on().messages) + messages
        await until_true(lambda: len(self.said.read_on().messages) >= goal, f"{messages} more messages")

    async def end(self) -> FleetReport:
        """Let it measure all of its last hours, and wait until it has its receipts or gives up waiting for them."""
        assert self._child is not None
        patience_s = 3 * self.load.readings / self.load.rate + DRAIN_S
        await until_true(lambda: len(self.said.read_on().messages) >= self.load.readings, "the fleet", patience_s)
        self._child.terminate()
        await until(self._child.wait(), "the fleet to end", DRAIN_S + 30)
        self.said.read_on()
        return msgspec.json.decode(self._report.read_bytes(), type=FleetReport)

    @property
    def labels(self) -> list[Label]:
        return msgspec.json.decode(self._labels.read_bytes(), type=list[Label])

    def _command(self, name: str) -> list[object]:
        return [sys.executable, "-m", "simulators", name, "--pumps", self.load.pumps, "--seed", self.load.seed]


@dataclass
class Stage:
    """Everything that can be hit."""

    directory: Path
    postgres: PostgresServer
    broker: Broker
    ingester: Ingester
    fleet: Fleet

    @property
    def database_url(self) -> str:
        return self.postgres.url()

    async def until_ingester_is_ready(self) -> None:
        connection = await asyncpg.connect(self.database_url)
        try:
            await until_found(lambda: _is_ready(connection, self.ingester), "the ingester to be ready")
        finally:
            await connection.close()


@asynccontextmanager
async def stage(
    directory: Path, kind: str, load: Load, *, ack_wait: str = "120s", settings: dict[str, str] | None = None
) -> AsyncIterator[Stage]:
    """Servers and an ingester that is ready; a fleet that is registered, and has an endpoint for its alerts."""
    postgres = PostgresServer(directory / "postgres", settings=settings)
    broker: Broker = (
        NatsServer(directory / kind, ack_wait=ack_wait) if kind == NATS else MosquittoServer(directory / kind)
    )
    fleet = Fleet(directory, load)
    try:
        postgres.start()
        broker.start()
        await migrate(postgres.url())
        await fleet.write_registry()
        await register(postgres.url(), fleet.registry)
        ingester = Ingester(directory / "ingester", postgres.url(), broker.mqtt_url)
        await ingester.start()
        try:
            here = Stage(directory, postgres, broker, ingester, fleet)
            await here.until_ingester_is_ready()
            yield here
        finally:
            await ingester.abandon()
    finally:
        broker.stop()
        postgres.stop()


async def register(url: str, registry: Path) -> None:
    entries, problems = parse_registry(registry.read_text(encoding="utf-8"))
    assert not problems
    connection = await asyncpg.connect(url)
    try:
        await upsert(connection, entries)
        # Nobody listens there: no delivery is running, and the outbox shows what it would have sent.
        await add_endpoint(connection, VAULT, "clinic", "http://127.0.0.1:9/hook", "test", accepts_simulated=True)
    finally:
        await connection.close()


async def _is_ready(connection: asyncpg.Connection, ingester: Ingester) -> Any:
    ingester.check()
    return await connection.fetchval("SELECT bool_or(ready) FROM role_heartbeat WHERE role = 'ingest'")
