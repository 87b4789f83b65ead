"""What does a measurement stand on? PostgreSQL once; for each a new database and a new broker."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

import asyncpg

from service.core.reading import DrugClass
from service.core.registry import RegistryEntry
from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate
from service.postgres.registry import upsert
from tests.benchmarks.load import PUMPS
from tests.servers import MosquittoServer, database_url, mosquitto_binary

NATS, MOSQUITTO = "nats", "mosquitto"
REGISTERED_AT_ONCE = 20_000


class SkippedError(Exception):
    """This cannot be measured here; the text says why."""


class Broker(Protocol):
    @property
    def url(self) -> str: ...
    @property
    def pid(self) -> int: ...


class Ground:
    """`url`: of a server that runs already, as a TimescaleDB does; without one, our own is started."""

    def __init__(self, directory: Path, url: str | None = None) -> None:
        self.directory = directory
        self._external_url = url
        self._postgres = PostgresServer(directory / "postgres")
        self._numbers = itertools.count(1)
        self._templates: set[str] = set()

    async def start(self) -> None:
        if not self._external_url:
            await asyncio.to_thread(self._postgres.start)

    @property
    def postgres_pid(self) -> int:
        """0: somewhere else."""
        return 0 if self._external_url else self._postgres.pid

    def stop(self) -> None:
        if not self._external_url:
            self._postgres.stop()

    def _url(self, database: str = "postgres") -> str:
        return database_url(self._external_url, database) if self._external_url else self._postgres.url(database)

    @asynccontextmanager
    async def database(self, pumps: int = PUMPS) -> AsyncIterator[str]:
        """The URL of a database that knows so many pumps, and has heard nothing of them."""
        name = f"bench_{next(self._numbers)}"
        if self._external_url:  # TimescaleDB has workers in every database: none can be copied
            await self._make(name, pumps)
        else:
            await self._execute(f"CREATE DATABASE {name} TEMPLATE {await self._template(pumps)}")
        try:
            yield self._url(name)
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")
            await self._execute("CHECKPOINT")  # else the next measurement would pay for it

    @contextmanager
    def broker(self, kind: str) -> Iterator[Broker]:
        """A broker without any session or message. Raises SkippedError where there is none of this kind."""
        directory = self.directory / f"{kind}_{next(self._numbers)}"
        if kind == MOSQUITTO and mosquitto_binary() is None:
            raise SkippedError("no mosquitto on this machine (Debian: apt-get install mosquitto)")
        server = NatsServer(directory) if kind == NATS else MosquittoServer(directory)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(directory, ignore_errors=True)

    async def _template(self, pumps: int) -> str:
        name = f"with_{pumps}"
        if name not in self._templates:
            await self._make(name, pumps)
            self._templates.add(name)
        return name

    async def _make(self, name: str, pumps: int) -> None:
        await self._execute(f"CREATE DATABASE {name}")
        await migrate(self._url(name))
        connection = await asyncpg.connect(self._url(name))
        try:
            for first in range(0, pumps, REGISTERED_AT_ONCE):
                last = min(first + REGISTERED_AT_ONCE, pumps)
                await upsert(connection, [_registered(number) for number in range(first, last)])
            # The registry is looked at for changes of the last minutes: a whole fleet is none of those.
            await connection.execute("UPDATE pump SET updated_at = now() - interval '1 hour'")
            await connection.execute("VACUUM ANALYZE pump")
        finally:
            await connection.close()

    async def _execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self._url())
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


def _registered(number: int) -> RegistryEntry:
    """A pump as the blaster names it. With its sensors no rule is spared."""
    return RegistryEntry(
        pump_id=f"p{number:06d}",
        site="bench",
        flow_channel="sensor",
        reservoir_channel="sensor",
        capacity_ml=20.0,
        drug_class=DrugClass.BACLOFEN,
        interval_s=60.0,
        simulated=True,
    )
