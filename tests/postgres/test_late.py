"""What comes after the lateness horizon waits beside the rest, is read with it, and is merged in slices."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import numpy as np
import pytest

from service.core.reading import Items
from service.loops.maintain import FEWEST_A_SLICE, MOST_A_SLICE, Slices, merge_some
from service.postgres.housekeeping import PostgresHousekeeping
from service.postgres.partitions import drop_before, is_plain, make_ahead
from service.postgres.putting import put
from service.postgres.readings import BEGINNING, instant, read_back
from tests.pumps import MINUTE_MS, NOON_MS, readings

NOW = instant(NOON_MS)
LATE_MS = NOON_MS - 10 * 24 * 60 * MINUTE_MS
YEAR_MS = 365 * 24 * 60 * MINUTE_MS


def clock() -> object:
    return NOW


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresHousekeeping]:
    async with asyncpg.create_pool(postgres_url, min_size=0) as pool:
        yield PostgresHousekeeping(pool)


@pytest.fixture
async def pumps(connection: asyncpg.Connection) -> list[int]:
    rows = await connection.fetch("INSERT INTO pump (pump_id) VALUES ('a'), ('b') RETURNING pump")
    return [row["pump"] for row in rows]


async def counts(connection: asyncpg.Connection) -> tuple[int, int, int]:
    """In the store, waiting, and as readers see it."""
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM stored_reading), (SELECT count(*) FROM late_reading),"
        " (SELECT count(*) FROM reading)"
    )
    return tuple(row)


async def compressed(connection: asyncpg.Connection) -> None:
    if not await is_plain(connection):
        await connection.fetch("SELECT compress_chunk(chunk, true) FROM show_chunks('stored_reading') AS chunk")


async def merged(store: PostgresHousekeeping, slices: Slices | None = None) -> None:
    assert not await merge_some(store, clock, slices or Slices(), asyncio.Event())


def over_two_days(pump: int) -> Items:
    return readings(400, pump=pump, start_ms=LATE_MS, spacing_ms=5 * MINUTE_MS)


async def test_late_readings_are_read_at_once_and_merged_later_into_what_is_compressed(
    store: PostgresHousekeeping, connection: asyncpg.Connection, pumps: list[int]
) -> None:
    items = np.concatenate([over_two_days(pump) for pump in pumps])
    early = items["position"] % 3 > 0
    day = instant(LATE_MS).date()
    await make_ahead(connection, day, day + timedelta(days=1))
    await put(connection, items[early], [], instant(LATE_MS))
    await compressed(connection)
    await put(connection, items[~early], [], NOW)
    stored, waiting = int(early.sum()), int((~early).sum())
    assert await counts(connection) == (stored, waiting, stored + waiting)
    for _ in range(2):
        back = await read_back(connection, pumps, [-1, -1], [BEGINNING, BEGINNING])
        assert back["position"].tolist() == items["position"].tolist()
        assert back["flow_ml_d"].tolist() == items["flow_ml_d"].tolist()
        await merged(store)
    assert await counts(connection) == (stored + waiting, 0, stored + waiting)


async def test_many_small_slices_merge_all(
    store: PostgresHousekeeping, connection: asyncpg.Connection, pumps: list[int]
) -> None:
    await put(connection, over_two_days(pumps[0]), [], NOW)
    slices = Slices()
    for _ in range(20):
        slices.took(2.0)
    assert slices.most == FEWEST_A_SLICE, "as many as are merged at once where it takes long"
    await merged(store, slices)
    assert await counts(connection) == (400, 0, 400)


def test_slices_grow_where_they_are_quick() -> None:
    slices = Slices()
    for _ in range(20):
        slices.took(0.01)
    assert slices.most == MOST_A_SLICE


async def test_what_is_stored_already_is_not_stored_again_and_what_contradicts_it_is_kept_aside(
    store: PostgresHousekeeping, connection: asyncpg.Connection, pumps: list[int]
) -> None:
    items = over_two_days(pumps[0])
    await put(connection, items, [], instant(LATE_MS))
    again = items[:3].copy()
    again["battery_v"][1] = 2.5
    await put(connection, again, [], NOW)
    await compressed(connection)
    await merged(store)
    assert await counts(connection) == (400, 0, 400)
    row = await connection.fetchrow("SELECT topic, reason, detail FROM quarantine")
    assert tuple(row) == ("pumps/v1/a/telemetry", "conflicts_with_stored", "battery_mv is 2500, stored is 2900")
    kept = await connection.fetchval("SELECT min(battery_v) FROM reading")
    assert kept == pytest.approx(2.9)


async def test_what_a_clock_puts_into_the_far_future_waits_for_its_time(
    store: PostgresHousekeeping, connection: asyncpg.Connection, pumps: list[int]
) -> None:
    await put(connection, readings(3, pump=pumps[0], start_ms=NOON_MS + YEAR_MS), [], NOW)
    await merged(store)
    assert await counts(connection) == (0, 3, 3)


async def test_what_waits_past_retention_is_forgotten_like_the_rest(
    connection: asyncpg.Connection, pumps: list[int]
) -> None:
    await put(connection, readings(3, pump=pumps[0], start_ms=NOON_MS - YEAR_MS), [], NOW)
    await drop_before(connection, NOW.date() - timedelta(days=300))
    assert await counts(connection) == (0, 0, 0)
