"""A role's connections are few and bounded: nothing waits or works for ever, and what came of it is said."""

import asyncio

import asyncpg
import pytest

from service.api.problems import database_reason
from service.postgres.outage import OUTAGES
from service.postgres.pool import BOUNDS, pool_of
from tests.patience import until_found


async def test_more_askers_than_connections_wait_for_one(postgres_url: str, connection: asyncpg.Connection) -> None:
    async with pool_of(postgres_url, "storm", most=3) as pool:
        answers = await asyncio.gather(*(pool.fetchval("SELECT pg_backend_pid()") for _ in range(200)))
        assert len(answers) == 200
        assert len(set(answers)) <= 3
        named = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pumpwatch-storm'"
        assert await connection.fetchval(named) <= 3
        with pytest.raises(TimeoutError) as raised:
            async with pool.acquire(), pool.acquire(), pool.acquire(), pool.acquire(timeout=0.01):
                pass
        assert "all our connections" in database_reason(raised.value)


async def test_what_takes_too_long_is_ended_by_the_server_which_says_so(postgres_url: str) -> None:
    async with pool_of(postgres_url, "slow", most=1) as pool, pool.acquire() as connection:
        assert await connection.fetchval("SHOW statement_timeout") == BOUNDS["statement_timeout"]
        async with connection.transaction():
            await connection.execute("SET LOCAL statement_timeout = 20")
            with pytest.raises(asyncpg.QueryCanceledError) as raised:
                await connection.execute("SELECT pg_sleep(60)")
        assert "longer than it may" in database_reason(raised.value)


async def test_a_pool_comes_back_with_the_database(postgres_url: str, connection: asyncpg.Connection) -> None:
    async with pool_of(postgres_url, "cut", most=1) as pool:

        async def served_by() -> int:
            try:
                return int(await pool.fetchval("SELECT pg_backend_pid()"))
            except OUTAGES:
                return 0

        pid = await until_found(served_by, "a connection")
        await connection.execute("SELECT pg_terminate_backend($1)", pid)
        await until_found(served_by, "a new connection", enough=lambda now: now not in {0, pid})
