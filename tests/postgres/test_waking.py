"""A listener hears of what was committed, also after its connection was lost."""

import asyncio

from service.postgres.waking import woken_by
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
