"""What any test may ask for: databases and brokers, started once a session or anew, and always ended."""

import itertools
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from service.embedded import child
from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate
from tests.forks import Forks
from tests.forks import forks as forks_in
from tests.servers import TIMESCALE_URL, MosquittoServer, database_url, in_memory_if_there_is_room, mosquitto_binary

RUN = uuid4().hex[:8]  # several may run on one server
# Nothing here survives a power cut, and nothing tests one; a process's crash loses nothing by it.
QUICK = {"fsync": "off", "shared_buffers": "128MB"}
LONG = (
    *("tests/failures/", "tests/journeys/", "tests/simulators/test_scenarios", "tests/simulators/test_trial"),
    *("tests/web/", "tests/security/", "tests/core/test_webhook"),
    *(
        "tests/deploy/test_shipped",
        "tests/test_supervise",
        "tests/benchmarks/",
        "tests/load/",
        "tests/embedded/",
        "tests/loops/",
        "tests/commands/",
    ),
)

_numbers = itertools.count(1)


settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """Where several workers run side by side: to each its own ports, so that none takes what another's server left."""
    given = getattr(config, "workerinput", None)
    if given is not None:
        child.PORTS = child.PORTS[int(given["workerid"].removeprefix("gw")) :: given["workercount"]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that workers end at about the same time."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(scope="session")
def clusters() -> Iterator[Path]:
    """Where PostgreSQL keeps what it writes."""
    with in_memory_if_there_is_room() as directory:
        yield directory


@pytest.fixture(scope="session")
def postgres_server_of_session(clusters: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(clusters / "shared", settings=QUICK)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_server(clusters: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to kill."""
    directory = clusters / f"own_{next(_numbers)}"
    server = PostgresServer(directory, settings=QUICK)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def control_url(request: pytest.FixtureRequest) -> str:
    """The server on which tests have databases of their own: the one that TIMESCALE_URL names, or the session's."""
    return os.environ.get(TIMESCALE_URL) or request.getfixturevalue("postgres_server_of_session").url()


@pytest.fixture(scope="session")
async def template(control_url: str) -> AsyncIterator[str]:
    """The database that `postgres_url` copies: migrated, empty, closed, since TimescaleDB's workers would look in."""
    name = f"migrated_{RUN}"
    await _create(control_url, name, "template0")
    await migrate(database_url(control_url, name))
    await _execute(control_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    await _execute(control_url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    yield name
    await _drop(control_url, name)


@pytest.fixture
async def postgres_url(control_url: str, template: str) -> AsyncIterator[str]:
    """A migrated database of the test's own."""
    name = f"test_{RUN}_{next(_numbers)}"
    await _create(control_url, name, template)
    yield database_url(control_url, name)
    await _drop(control_url, name)


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the test's database, to look at what was written."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@pytest.fixture
async def empty_postgres_url(control_url: str) -> AsyncIterator[str]:
    """A database of the test's own without any table."""
    name = f"empty_{RUN}_{next(_numbers)}"
    await _create(control_url, name, "template0")
    yield database_url(control_url, name)
    await _drop(control_url, name)


@pytest.fixture
async def plain_postgres_url(postgres_server_of_session: PostgresServer) -> AsyncIterator[str]:
    """A migrated database of the test's own without TimescaleDB, wherever the others are."""
    control, name = postgres_server_of_session.url(), f"plain_{next(_numbers)}"
    await _create(control, name, "template0")
    await migrate(database_url(control, name))
    yield database_url(control, name)
    await _drop(control, name)


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Starts `pumpwatch …` in a moment."""
    with forks_in(tmp_path_factory.mktemp("forks")) as forks:
        yield forks


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


async def _create(control_url: str, name: str, template: str) -> None:
    # A copy of files begins and ends with a checkpoint: quick on the session's server, which syncs nothing.
    strategy = "wal_log" if os.environ.get(TIMESCALE_URL) else "file_copy"
    await _execute(control_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY {strategy}')


async def _drop(control_url: str, name: str) -> None:
    await _execute(control_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def _execute(control_url: str, sql: str) -> None:
    connection = await asyncpg.connect(control_url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
