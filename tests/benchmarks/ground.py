"""What does a measurement stand on? PostgreSQL once; for each a new database and a new broker."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

import asyncpg

from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate
from tests.servers import MosquittoServer, mosquitto_binary

NATS, MOSQUITTO = "nats", "mosquitto"
TEMPLATE = "migrated"


class SkippedError(Exception):
    """This cannot be measured here; the text says why."""


class Broker(Protocol):
    @property
    def url(self) -> str: ...
    @property
    def pid(self) -> int: ...


class Ground:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._postgres = PostgresServer(directory / "postgres")
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        await asyncio.to_thread(self._postgres.start)
        await self._execute(f"CREATE DATABASE {TEMPLATE}")
        await migrate(self._postgres.url(TEMPLATE))

    def stop(self) -> None:
        self._postgres.stop()

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The URL of a migrated, empty database."""
        name = f"bench_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield self._postgres.url(name)
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

    async def _execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self._postgres.url())
        try:
            await connection.execute(sql)
        finally:
            await connection.close()
