"""What any test may ask for: databases and brokers, started once a session or anew, and always ended."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate
from tests.servers import MosquittoServer, mosquitto_binary

TEMPLATE = "migrated"
# Nothing here survives a power cut, and nothing tests one; a process's crash loses nothing by it.
QUICK = {"fsync": "off", "shared_buffers": "128MB"}

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(tmp_path_factory.mktemp("postgres"), settings=QUICK)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to kill."""
    server = PostgresServer(tmp_path / "postgres", settings=QUICK)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
async def template(postgres_server_of_session: PostgresServer) -> str:
    """The database that `postgres_url` copies: migrated, empty."""
    await _create(postgres_server_of_session, TEMPLATE, "template1")
    await migrate(postgres_server_of_session.url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
async def postgres_url(postgres_server_of_session: PostgresServer, template: str) -> AsyncIterator[str]:
    """A migrated database of the test's own."""
    name = f"test_{next(_numbers)}"
    await _create(postgres_server_of_session, name, template)
    yield postgres_server_of_session.url(name)
    await _drop(postgres_server_of_session, name)


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the test's database, to look at what was written."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@pytest.fixture
async def empty_postgres_url(postgres_server_of_session: PostgresServer) -> AsyncIterator[str]:
    """A database of the test's own without any table."""
    name = f"empty_{next(_numbers)}"
    await _create(postgres_server_of_session, name, "template1")
    yield postgres_server_of_session.url(name)
    await _drop(postgres_server_of_session, name)


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The session's broker. Tests share it: client ids and pump ids must be the test's own."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server.mqtt_url
    server.stop()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A broker of the test's own, to kill."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mosquitto_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    _need_mosquitto()
    server = MosquittoServer(tmp_path_factory.mktemp("mosquitto"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def mosquitto_server(tmp_path: Path) -> Iterator[MosquittoServer]:
    _need_mosquitto()
    server = MosquittoServer(tmp_path / "mosquitto")
    server.start()
    yield server
    server.stop()


def _need_mosquitto() -> None:
    if mosquitto_binary() is None:
        pytest.skip("no mosquitto on this machine (Debian: apt-get install mosquitto)")


async def _create(server: PostgresServer, name: str, template: str) -> None:
    await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')


async def _drop(server: PostgresServer, name: str) -> None:
    await _execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def _execute(server: PostgresServer, sql: str) -> None:
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
