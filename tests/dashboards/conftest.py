"""The small fleet on each kind of database, seen by the role under which Grafana reads."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from service.postgres.migrate import DIRECTORY, migrate
from tests.dashboards.ward import fill
from tests.postgres.stores import Store, by_url, on_pglite, without_concurrency
from tests.servers import database_url

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "deploy/grafana/role.sql"
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module", params=["plain", "pglite", "url"])
async def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    """Migrated and filled, with the role."""
    async with AsyncExitStack() as stack:
        if request.param == "plain":
            server = request.getfixturevalue("postgres_server_of_session")
            control = await asyncpg.connect(server.url())
            await control.execute("CREATE DATABASE for_grafana")
            await control.close()
            found = Store("plain", database_url(server.url(), "for_grafana"))
        elif request.param == "pglite":
            assert request.config.cache is not None
            directory = request.config.cache.mkdir("pglite")
            found = Store("pglite", await stack.enter_async_context(on_pglite(directory)), copies=False)
        else:
            found = Store("url", await stack.enter_async_context(by_url()))
        whole = DIRECTORY if found.copies else without_concurrency(tmp_path_factory.mktemp("migrations") / "each")
        await migrate(found.url, whole)
        connection = await found.connect()
        await fill(connection, NOW)
        await connection.execute(ROLE.read_text(encoding="utf-8"))
        await connection.close()
        yield found


@pytest.fixture
async def grafana(store: Store) -> AsyncIterator[asyncpg.Connection]:
    """A connection with the rights that Grafana has."""
    connection = await store.connect()
    await connection.execute("SET ROLE pumpwatch_grafana")
    yield connection
    await connection.close()
