"""Last heard: never older than what was known, whatever the order of writing, and written by the owner alone."""

import asyncpg
import numpy as np
import pytest

from service.core.fleet import Fleet, PumpEntry
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.state import Field
from service.ports import FencedError, ShardStatus
from service.postgres.latest import save_latest, save_shards
from service.postgres.readings import instant
from tests.pumps import NOON_MS, SENSOR, readings

SHARD, EPOCH = 0, 7


@pytest.fixture
async def fleet(connection: asyncpg.Connection) -> Fleet:
    await connection.execute("INSERT INTO shard (shard, epoch) VALUES ($1, $2)", SHARD, EPOCH)
    keys = await connection.fetch("INSERT INTO pump (pump_id) VALUES ('a'), ('b') RETURNING pump")
    fleet = Fleet(DEFAULT_RULEBOOK)
    fleet.enter([PumpEntry(row["pump"], pump_id, SENSOR) for row, pump_id in zip(keys, "ab", strict=True)])
    return fleet


async def test_an_older_reading_never_replaces_a_newer_one(connection: asyncpg.Connection, fleet: Fleet) -> None:
    rows = np.zeros(1, np.intp)
    newer, older = readings(1, first_seq=9, reservoir_ml=7.0), readings(1, first_seq=3, reservoir_ml=8.0)
    fleet.latest[0], fleet.heard_ms[0] = newer[0], NOON_MS
    await save_latest(connection, {SHARD: EPOCH}, fleet, rows)
    times = "empty_judged, empty_nominal_d, empty_conservative_d, empty_optimistic_d"
    assert tuple(await connection.fetchrow(f"SELECT {times} FROM pump_latest")) == (False, None, None, None)
    fleet.latest[0], fleet.heard_ms[0] = older[0], NOON_MS + 5_000
    fleet.state[0, Field.FULL_ML], fleet.state[0, Field.RESERVOIR_ML], fleet.state[0, Field.RATE_ML_D] = 20, 12, 0.5
    await save_latest(connection, {SHARD: EPOCH}, fleet, rows)
    assert tuple(await connection.fetchrow(f"SELECT {times} FROM pump_latest")) == (
        True,
        24.0,
        pytest.approx((12 - 0.076 * 8) / (0.5 * 1.076)),
        pytest.approx((12 + 0.056 * 8) / (0.5 * 0.944)),
    )
    stored = await connection.fetchrow("SELECT * FROM pump_latest")
    assert (stored["reservoir_ml"], stored["position"]) == (7.0, int(newer["position"][0]))
    assert stored["measured_at"] == instant(int(newer["measured_ms"][0]))
    assert stored["received_at"] == instant(NOON_MS + 5_000), "heard is heard, whatever it said"
    fleet.heard_ms[0] = NOON_MS
    await save_latest(connection, {SHARD: EPOCH}, fleet, rows)
    assert await connection.fetchval("SELECT received_at FROM pump_latest") == instant(NOON_MS + 5_000)


async def test_a_pump_that_has_sent_events_only_was_heard(connection: asyncpg.Connection, fleet: Fleet) -> None:
    fleet.latest[0], fleet.heard_ms[:] = readings(1)[0], (NOON_MS, NOON_MS + 1)
    await save_latest(connection, {SHARD: EPOCH}, fleet, np.arange(2))
    rows = await connection.fetch("SELECT received_at, mode FROM pump_latest ORDER BY pump")
    assert [tuple(row) for row in rows] == [(instant(NOON_MS), 0), (instant(NOON_MS + 1), None)]
    fleet.latest[1] = readings(1, reservoir_ml=9.0)[0]
    await save_latest(connection, {SHARD: EPOCH}, fleet, np.arange(2))
    assert await connection.fetchval("SELECT max(reservoir_ml) FROM pump_latest") == 18.0
    assert await connection.fetchval("SELECT min(reservoir_ml) FROM pump_latest") == 9.0


async def test_who_has_lost_the_shard_writes_nothing(connection: asyncpg.Connection, fleet: Fleet) -> None:
    fleet.latest[0] = readings(1)[0]
    await save_latest(connection, {SHARD: EPOCH - 1}, fleet, np.arange(2))
    assert await connection.fetchval("SELECT count(*) FROM pump_latest") == 0
    with pytest.raises(FencedError):
        await save_shards(connection, {SHARD: EPOCH - 1}, {SHARD: ShardStatus(None, None, "an old owner's")})
    await save_shards(connection, {SHARD: EPOCH}, {SHARD: ShardStatus(instant(NOON_MS), None, "its owner's")})
    told = await connection.fetchrow("SELECT marker_at, reason FROM shard")
    assert tuple(told) == (instant(NOON_MS), "its owner's")
