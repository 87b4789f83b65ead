"""Last heard: never older than what was known, whatever the order of writing."""

import asyncpg
import numpy as np
import pytest

from service.core.fleet import Fleet, PumpEntry
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.state import Field
from service.postgres.latest import save_latest
from tests.pumps import NOON_MS, SENSOR, readings


async def test_an_older_reading_never_replaces_a_newer_one(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    key = await connection.fetchval("INSERT INTO pump (pump_id) VALUES ('a') RETURNING pump")
    fleet = Fleet(DEFAULT_RULEBOOK)
    fleet.enter([PumpEntry(key, "a", SENSOR)])
    rows = np.zeros(1, np.intp)
    newer, older = readings(1, first_seq=9, reservoir_ml=7.0), readings(1, first_seq=3, reservoir_ml=8.0)
    fleet.latest[0], fleet.heard_ms[0] = newer[0], NOON_MS
    await save_latest(connection, fleet, rows)
    fleet.latest[0], fleet.heard_ms[0] = older[0], NOON_MS + 5_000
    fleet.state[0, Field.FULL_ML], fleet.state[0, Field.RESERVOIR_ML], fleet.state[0, Field.RATE_ML_D] = 20, 12, 0.5
    await save_latest(connection, fleet, rows)
    times = "empty_judged, empty_nominal_d, empty_conservative_d, empty_optimistic_d"
    assert tuple(await connection.fetchrow(f"SELECT {times} FROM pump_latest")) == (
        True,
        24.0,
        pytest.approx((12 - 0.076 * 8) / (0.5 * 1.076)),
        pytest.approx((12 + 0.056 * 8) / (0.5 * 0.944)),
    )
    stored = await connection.fetchrow("SELECT *, extract(epoch FROM received_at) * 1000 AS heard_ms FROM pump_latest")
    assert (stored["reservoir_ml"], stored["position"]) == (7.0, int(newer["position"][0]))
    assert stored["heard_ms"] == NOON_MS + 5_000, "heard is heard, whatever it said"
    fleet.heard_ms[0] = NOON_MS
    await save_latest(connection, fleet, rows)
    assert (
        await connection.fetchval("SELECT extract(epoch FROM received_at) * 1000 FROM pump_latest") == NOON_MS + 5_000
    )
    await connection.close()
