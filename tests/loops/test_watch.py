"""The watch role: one process looks, another takes over, and neither remembers anything."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from service.core.rulebook import DEFAULT_RULEBOOK
from service.embedded.postgres import PostgresServer
from service.loops.watch import watch
from service.postgres.alerts import AlertStore
from service.postgres.migrate import migrate
from service.postgres.watchtower import PostgresWatchtower

LEADER = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND objid = x'70770001'::bigint::oid AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def now() -> datetime:
    return datetime.now(UTC)


async def until(holds: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(120):
        while not (found := await holds()):  # noqa: ASYNC110 - the database says it, not an event of ours
            await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[None]:
    """A process that watches, but for the process."""
    stop = asyncio.Event()
    tower = PostgresWatchtower(url, AlertStore(DEFAULT_RULEBOOK), DEFAULT_RULEBOOK)
    task = asyncio.create_task(watch(tower, now, stop))
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    store = await asyncpg.connect(postgres_url)
    await a_ward(store)
    yield store
    await store.close()


async def a_ward(store: asyncpg.Connection) -> None:
    """A shard that hears for the next hours, and a pump that reports each second and was last heard ten minutes ago."""
    await store.execute(
        """
        INSERT INTO shard (shard, marker_at, session_since) VALUES (0, now() + interval '1 d', now() - interval '1 h');
        INSERT INTO pump (pump_id, interval_s, registered) VALUES ('p1', 1, true);
        INSERT INTO pump_latest SELECT pump, now() - interval '10 min', now(), 5, 0.5, 0.5, 18, 2.9, 0 FROM pump;
        """
    )


async def states(store: asyncpg.Connection) -> list[str]:
    return [row["state"] for row in await store.fetch("SELECT state FROM alert ORDER BY raised_at")]


async def test_silence_is_noticed_and_so_is_its_end(store: asyncpg.Connection, postgres_url: str) -> None:
    async with watching(postgres_url):
        await until(lambda: store.fetchval("SELECT true FROM alert WHERE condition = 'silence' AND state = 'active'"))
        await store.execute("UPDATE pump_latest SET received_at = $1", now() + timedelta(minutes=1))
        await until(lambda: store.fetchval("SELECT true FROM alert WHERE state = 'resolved'"))
    assert await states(store) == ["resolved"]


async def test_a_restart_forgets_nothing_and_finds_nothing_twice(store: asyncpg.Connection, postgres_url: str) -> None:
    for _ in range(3):
        async with watching(postgres_url):
            await until(lambda: store.fetchval("SELECT true FROM alert WHERE state = 'active'"))
    assert await store.fetchval("SELECT array_agg(version) FROM alert") == [1]


async def test_one_leads_and_another_takes_over_when_its_connection_ends(
    store: asyncpg.Connection, postgres_url: str
) -> None:
    async with watching(postgres_url), watching(postgres_url), watching(postgres_url):
        first = await until(lambda: store.fetchval(LEADER))
        await store.fetchval("SELECT pg_terminate_backend($1, 10000)", first)
        second = await until(lambda: store.fetchval(LEADER))
        assert second != first
        await until(lambda: store.fetchval("SELECT true FROM alert WHERE state = 'active'"))
    assert await states(store) == ["active"]
    await until(lambda: store.fetchval(f"SELECT NOT EXISTS ({LEADER})"))  # a server's end of a connection ends later


async def test_who_holds_an_alert_for_long_holds_up_the_watch_and_does_not_end_it(
    store: asyncpg.Connection, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def told() -> bool:
        return "watch_interrupted" in caplog.messages

    async with watching(postgres_url):
        await until(lambda: store.fetchval("SELECT true FROM alert WHERE state = 'active'"))
        await store.execute("UPDATE pump_latest SET received_at = now() + interval '1 min'")
        async with store.transaction():
            await store.execute("SELECT id FROM alert FOR UPDATE")
            await until(told)
        await until(lambda: store.fetchval("SELECT true FROM alert WHERE state = 'resolved'"))


async def test_the_watch_outlives_its_database(postgres_server: PostgresServer) -> None:
    await migrate(postgres_server.url())
    async with watching(postgres_server.url()):
        store = await asyncpg.connect(postgres_server.url())
        await until(lambda: store.fetchval(LEADER))
        postgres_server.kill()
        postgres_server.start()
        store = await asyncpg.connect(postgres_server.url())
        await a_ward(store)
        await until(lambda: store.fetchval("SELECT true FROM alert WHERE condition = 'silence'"))
        await store.close()
