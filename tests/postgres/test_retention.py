"""Readings are kept as long as their site says."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from service.loops.maintain import forget_by_site, look_after
from service.postgres.housekeeping import PostgresHousekeeping
from service.postgres.partitions import make_ahead

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)
KEPT_D = {"short": 10, "usual": None, "long": 60}
USUAL_D = 20


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Seventy days of a pump of each site and of one of none, a reading an hour."""
    async with asyncpg.create_pool(postgres_url, min_size=0, max_size=2) as pool:
        async with pool.acquire() as connection:
            first = NOW - timedelta(days=70)
            await make_ahead(connection, first.date(), NOW.date())
            for site, kept_d in KEPT_D.items():
                await connection.execute("INSERT INTO site (site, name, retention_d) VALUES ($1, $1, $2)", site, kept_d)
            await connection.execute(
                "INSERT INTO pump (pump_id, site) SELECT coalesce(site, 'none'), site"
                " FROM (SELECT site FROM site UNION ALL SELECT NULL) AS sites"
            )
            await connection.execute(
                "INSERT INTO stored_reading (measured_at, position, received_after_ms, pump, program_100nl_d,"
                " flow_100nl_d, reservoir_ul, battery_mv, mode)"
                " SELECT $1::timestamptz + n * interval '1 hour', n, 0, pump, 1, 1, 1, 1, 0"
                " FROM pump CROSS JOIN generate_series(0, 70 * 24 - 1) AS n",
                first,
            )
        yield pool


async def oldest(pool: asyncpg.Pool) -> dict[str, date]:
    rows = await pool.fetch(
        "SELECT pump_id, min(measured_at) AS at FROM stored_reading JOIN pump USING (pump) GROUP BY 1"
    )
    return {row["pump_id"]: row["at"].date() for row in rows}


async def test_each_site_keeps_its_own_time_and_the_others_miss_nothing(pool: asyncpg.Pool) -> None:
    store, stop = PostgresHousekeeping(pool), asyncio.Event()
    for days in (0, 0, 3):
        now = NOW + timedelta(days=days)
        await look_after(store, lambda now=now: now, USUAL_D)
        await forget_by_site(store, lambda now=now: now, USUAL_D, stop)
        today = now.date()
        found = await oldest(pool)
        assert {pump_id: found[pump_id] for pump_id in ("short", "usual", "none")} == {
            "short": today - timedelta(days=10),
            "usual": today - timedelta(days=USUAL_D),
            "none": today - timedelta(days=USUAL_D),
        }
        # On TimescaleDB whole chunks go.
        assert today - timedelta(days=70) <= found["long"] <= today - timedelta(days=60)
    kept = await pool.fetch(
        "SELECT pump_id, count(*) AS readings FROM stored_reading JOIN pump USING (pump) GROUP BY 1"
    )
    counts = {row["pump_id"]: row["readings"] for row in kept}
    assert counts["none"] == counts["usual"] == counts["short"] + 24 * 10


async def test_where_all_keep_the_same_nothing_is_deleted_row_by_row(pool: asyncpg.Pool) -> None:
    await pool.execute("UPDATE site SET retention_d = NULL")
    store = PostgresHousekeeping(pool)
    assert await store.forget_a_day(NOW.date(), USUAL_D) is None
    assert await store.longest_kept_d(USUAL_D) == USUAL_D
