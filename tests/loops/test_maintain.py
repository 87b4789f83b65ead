"""The store is looked after: room ahead, old days gone."""

from datetime import UTC, datetime, timedelta

import asyncpg

from service.loops.maintain import look_after
from service.postgres.housekeeping import PostgresHousekeeping
from service.postgres.partitions import make_ahead


async def test_there_is_room_for_the_next_week_and_none_for_what_is_past_retention(plain_postgres_url: str) -> None:
    async with asyncpg.create_pool(plain_postgres_url) as pool:
        old = datetime(2025, 1, 5, tzinfo=UTC).date()
        async with pool.acquire() as connection:
            await make_ahead(connection, old, old)
        await look_after(PostgresHousekeeping(pool), lambda: datetime(2026, 11, 22, 13, tzinfo=UTC), 400)
        names = {
            row["name"]
            for row in await pool.fetch(
                "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'stored_reading'::regclass"
            )
        }
        assert {"stored_reading_20261120", "stored_reading_20261129", "stored_reading_default"} <= names
        assert "stored_reading_20250105" not in names


async def test_the_feed_of_the_stream_is_kept_for_two_days_and_no_longer(plain_postgres_url: str) -> None:
    now = datetime(2026, 11, 22, 13, tzinfo=UTC)
    async with asyncpg.create_pool(plain_postgres_url) as pool:
        for hours in (1, 47, 49, 500):
            await pool.execute(
                "INSERT INTO change (at, kind, body) VALUES ($1, 'alert', '{}')", now - timedelta(hours=hours)
            )
        await look_after(PostgresHousekeeping(pool), lambda: now, 400)
        kept = await pool.fetch("SELECT at FROM change ORDER BY at DESC")
    assert [now - row["at"] for row in kept] == [timedelta(hours=1), timedelta(hours=47)]
