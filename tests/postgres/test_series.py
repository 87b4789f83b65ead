"""A pump's values over a span: the same at every resolution, on plain PostgreSQL and on TimescaleDB."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from itertools import pairwise

import asyncpg
import numpy as np
import pytest

from service.core.reading import Items
from service.core.resolution import DAY, HOUR, Source, plan
from service.postgres.migrate import migrate
from service.postgres.partitions import make_ahead
from service.postgres.readings import instant
from service.postgres.series import QUANTITIES, READINGS, pump_of, series
from tests.postgres.stores import Store, by_url
from tests.pumps import MINUTE_MS, NOON_MS, readings

DAYS = 3
MIDNIGHT = instant(NOON_MS - 12 * 60 * MINUTE_MS)
UNTIL = MIDNIGHT + timedelta(days=DAYS)
SPIKE_AT = MIDNIGHT + timedelta(hours=29, minutes=17)


def measured() -> Items:
    """Three days by the minute, a spike of one reading on the second, a gap of five hours on the third."""
    count = DAYS * 1440
    draws = np.random.default_rng(5)
    items = readings(
        count, start_ms=int(MIDNIGHT.timestamp()) * 1000, flow=draws.normal(1, 0.1, count), program_ml_d=0.5
    )
    at = int((SPIKE_AT - MIDNIGHT) / timedelta(minutes=1))
    items["flow_ml_d"][at] = 9.75
    items["battery_v"][at] = 1.125
    return np.delete(items, slice(2 * 1440 + 600, 2 * 1440 + 900))


@pytest.fixture(scope="module", params=["plain", "url"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A database of each kind in which one pump has said all that."""
    async with AsyncExitStack() as stack:
        if request.param == "plain":
            control = await asyncpg.connect(request.getfixturevalue("postgres_server_of_session").url())
            stack.push_async_callback(control.close)
            await control.execute("CREATE DATABASE series")
            url = request.getfixturevalue("postgres_server_of_session").url("series")
        else:
            url = await stack.enter_async_context(by_url())
        await migrate(url)
        store = Store(request.param, url)
        connection = await asyncpg.connect(url)
        await make_ahead(connection, MIDNIGHT.date(), UNTIL.date())
        key = await connection.fetchval("INSERT INTO pump (pump_id) VALUES ('p') RETURNING pump")
        items = measured()
        items["pump"] = key
        await store.put(connection, items)
        if store.timescale:
            for view in ("reading_hour", "reading_day"):
                await connection.execute(f"CALL refresh_continuous_aggregate('{view}', NULL, '{MIDNIGHT + DAY}')")
        await connection.close()
        yield store


@pytest.fixture
async def connection(store: Store) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(store.url)
    yield connection
    await connection.close()


async def shown(
    connection: asyncpg.Connection, since: datetime, until: datetime, points: int, source: Source | None = None
) -> tuple[timedelta, list[asyncpg.Record]]:
    known = await pump_of(connection, "p")
    assert known is not None
    key, interval_s = known
    width, rows = await series(connection, key, plan(since, until, points, interval_s, source), until, points)
    return width, list(rows)


@pytest.mark.parametrize("source", [None, *Source])
@pytest.mark.parametrize("points", [1, 7, 72, 500, 10_000])
async def test_no_spike_is_lost_at_any_resolution(
    connection: asyncpg.Connection, source: Source | None, points: int
) -> None:
    width, rows = await shown(connection, MIDNIGHT, UNTIL, points, source)
    items = measured()
    assert len(rows) <= points
    assert sum(row["readings"] for row in rows) == len(items)
    spike = max(rows, key=lambda row: row["flow_ml_d_max"])
    assert spike["flow_ml_d_max"] == 9.75
    assert spike["battery_v_min"] == 1.125
    assert spike["first_at"] <= SPIKE_AT <= spike["last_at"]
    assert spike["last_at"] - spike["first_at"] <= width
    for name in QUANTITIES:
        mean = sum(row[f"{name}_mean"] * row["readings"] for row in rows) / len(items)
        assert mean == pytest.approx(float(np.mean(items[name].astype(np.float64))), rel=1e-6)
        assert min(row[f"{name}_min"] for row in rows) == pytest.approx(float(items[name].min()), rel=1e-6)


async def test_where_nothing_was_measured_there_is_no_point(connection: asyncpg.Connection) -> None:
    for points, source, empty in ((10_000, None, 300), (72, Source.HOUR, 5), (3, Source.DAY, 0)):
        width, rows = await shown(connection, MIDNIGHT, UNTIL, points, source)
        wanted = (UNTIL - MIDNIGHT) / (width or timedelta(minutes=1))
        assert len(rows) == wanted - empty
        if empty:
            longest = max(after["first_at"] - before["last_at"] for before, after in pairwise(rows))
            assert longest == timedelta(minutes=301)


async def test_a_pump_that_says_more_than_its_interval_promises_is_put_together(
    connection: asyncpg.Connection,
) -> None:
    await connection.execute("UPDATE pump SET interval_s = 600")
    width, rows = await shown(connection, MIDNIGHT, MIDNIGHT + HOUR, 30)
    await connection.execute("UPDATE pump SET interval_s = 60")
    assert (width, len(rows)) == (timedelta(minutes=2), 30)


async def test_one_statement_is_prepared_once_and_its_plan_is_kept(connection: asyncpg.Connection) -> None:
    for hours in range(12):
        await shown(connection, MIDNIGHT + hours * HOUR, MIDNIGHT + (hours + 2) * HOUR, 500)
    rows = await connection.fetch(
        "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1", READINGS
    )
    assert [sum(row) for row in rows] == [12], "one statement, whatever the span"
    assert rows[0]["generic_plans"] > 0, "and it is not planned anew each time"
