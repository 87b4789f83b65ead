"""A listener hears of what was committed, also after its connection was lost."""

import asyncio

import asyncpg

from service.embedded.postgres import PostgresServer
from service.postgres.waking import CHANNEL, woken_by
from tests.webhooks.rows import Rows


async def test_a_listener_wakes_when_notifications_are_committed_and_when_it_may_have_missed_some(
    postgres_url: str, rows: Rows
) -> None:
    async with woken_by(postgres_url) as wake, asyncio.timeout(30):
        await wake.wait()  # it has begun to listen
        wake.clear()
        await rows.announce()
        await wake.wait()
        wake.clear()
        ended = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = $1"
        )
        assert await rows.pool.fetchval(ended, postgres_url.rpartition("/")[2].partition("?")[0]) == 1
        await wake.wait()  # it listens again
        wake.clear()
        await rows.announce()
        await wake.wait()


async def test_a_listener_hears_again_after_the_server_was_restarted(postgres_server: PostgresServer) -> None:
    url = postgres_server.url()
    async with woken_by(url) as wake, asyncio.timeout(120):
        await wake.wait()
        for end in (postgres_server.stop, postgres_server.kill):
            wake.clear()
            await asyncio.to_thread(end)
            await asyncio.to_thread(postgres_server.start)
            await wake.wait()  # it listens again, and may have missed something
            wake.clear()
            caller = await asyncpg.connect(url)
            await caller.execute(f"NOTIFY {CHANNEL}")
            await wake.wait()
            await caller.close()
