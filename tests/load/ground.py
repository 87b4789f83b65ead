"""What does a load run against? A broker, a database and the ingester as processes, and `pumpsim load` beside them."""

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from service.core.registry import parse_registry
from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate
from service.postgres.registry import upsert
from tests.benchmarks.processes import cpu_s, ended, started
from tests.failures.ingester import Ingester
from tests.failures.stage import MOSQUITTO, NATS
from tests.patience import until, until_found
from tests.servers import MosquittoServer

PATIENCE_S = 900.0
Server = NatsServer | MosquittoServer


@dataclass
class Ground:
    directory: Path
    broker: Server
    database_url: str
    ingester: Ingester
    charged: dict[str, float] = field(default_factory=dict)  # seconds of processor time, by what used it

    async def load(self, profile: str, *arguments: object, code: int = 0) -> dict[str, Any]:
        """Run `pumpsim load` to its end and return its report."""
        report, page = self.directory / f"{profile}.json", self.directory / f"{profile}.html"
        log = self.directory / "load.log"
        writing = ["--report", report, "--html", page, "--control", self.directory / "control"]
        publishing = ["load", profile, "--broker", self.broker.mqtt_url, *arguments, *writing]
        child = await started([sys.executable, "-m", "simulators", *publishing], log=log)
        began_s, before = time.monotonic(), self._charged()
        async with ended(child):
            found = await until(child.wait(), f"the {profile} to end", PATIENCE_S)
        took_s = time.monotonic() - began_s
        self.charged = {name: round(used - before[name], 1) for name, used in self._charged().items()}
        self.charged["wall"] = round(took_s, 1)
        self.ingester.check()
        assert found == code, log.read_text(encoding="utf-8")[-2000:]
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
        told: dict[str, Any] = msgspec.json.decode(report.read_bytes())
        return told

    async def stored(self) -> int:
        """How many readings and events are in the database."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return int(
                await connection.fetchval("SELECT (SELECT count(*) FROM reading) + (SELECT count(*) FROM event)")
            )
        finally:
            await connection.close()

    def _charged(self) -> dict[str, float]:
        return {"broker": cpu_s(self.broker.pid), "ingester": cpu_s(self.ingester.pid)}


@asynccontextmanager
async def ground(directory: Path, kind: str, settings: dict[str, str], *who: object) -> AsyncIterator[Ground]:
    """Everything is started, the fleet that `who` describes is registered, and the ingester ready."""
    postgres = PostgresServer(directory / "postgres", settings=settings)
    broker: Server = NatsServer(directory / kind) if kind == NATS else MosquittoServer(directory / kind)
    assert kind in {NATS, MOSQUITTO}
    try:
        postgres.start()
        broker.start()
        await migrate(postgres.url())
        await _register(postgres.url(), directory / "fleet.csv", who)
        ingester = Ingester(directory / "ingester", postgres.url(), broker.mqtt_url)
        await ingester.start()
        try:
            connection = await asyncpg.connect(postgres.url())
            try:
                ready = "SELECT bool_or(ready) FROM role_heartbeat WHERE role = 'ingest'"
                await until_found(lambda: connection.fetchval(ready), "the ingester to be ready", 120.0)
            finally:
                await connection.close()
            yield Ground(directory, broker, postgres.url(), ingester)
        finally:
            await ingester.abandon()
    finally:
        broker.stop()
        postgres.stop()


async def _register(url: str, registry: Path, who: tuple[object, ...]) -> None:
    child = await started([sys.executable, "-m", "simulators", "registry", *who, "--out", registry])
    assert await child.wait() == 0
    entries, problems = parse_registry(registry.read_text(encoding="utf-8"))
    assert not problems
    connection = await asyncpg.connect(url)
    try:
        await upsert(connection, entries)
    finally:
        await connection.close()
