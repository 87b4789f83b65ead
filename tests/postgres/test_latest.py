"""Last heard: never older than what was known, whatever the order of writing."""

import asyncpg
import numpy as np

from service.core.fleet import Fleet, PumpEntry
from service.core.rulebook import DEFAULT_RULEBOOK
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
    await save_latest(connection, fleet, rows)
    stored = await connection.fetchrow("SELECT *, extract(epoch FROM received_at) * 1000 AS heard_ms FROM pump_latest")
    assert (stored["reservoir_ml"], stored["position"]) == (7.0, int(newer["position"][0]))
    assert stored["heard_ms"] == NOON_MS + 5_000, "heard is heard, whatever it said"
    fleet.heard_ms[0] = NOON_MS
    await save_latest(connection, fleet, rows)
    assert (
        await connection.fetchval("SELECT extract(epoch FROM received_at) * 1000 FROM pump_latest") == NOON_MS + 5_000
    )
    await connection.close()
