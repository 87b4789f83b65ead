"""What is stored in the place of something that came again is found without all that lies around it."""

from datetime import timedelta

import asyncpg
import numpy as np
import pytest

from service.core.reading import ITEM, Items, position_of
from service.postgres import comparing
from service.postgres.readings import copy_in, copy_out
from tests.pumps import NOON_MS, readings

DAY = timedelta(days=1)
SECONDS = 10_000


@pytest.fixture
async def stored(connection: asyncpg.Connection) -> Items:
    """Two boots of a pump that says something each second."""
    pump = await connection.fetchval("INSERT INTO pump (pump_id) VALUES ('p1') RETURNING pump")
    stored = np.zeros(2 * SECONDS, ITEM)
    for boot in (0, 1):
        begins_ms = NOON_MS + boot * SECONDS * 1_000
        stored[boot * SECONDS :][:SECONDS] = readings(
            SECONDS, pump=pump, spacing_ms=1_000, boot=1 + boot, start_ms=begins_ms
        )
    await copy_in(connection, stored)
    return stored


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each look has read."""
    counts: list[int] = []

    async def counted(*given: object) -> Items:
        found = await copy_out(*given)
        counts.append(len(found))
        return found

    monkeypatch.setattr(comparing, "copy_out", counted)
    return counts


async def test_what_has_moved_is_found_without_what_lies_between_two_boots_or_far_apart_in_one(
    connection: asyncpg.Connection, stored: Items, read: list[int]
) -> None:
    ours = stored[[10, 9_000, SECONDS + 10]]
    ours["measured_ms"] += 500
    found = await comparing.stored_as(connection, ours, DAY)
    assert found["position"].tolist() == [position_of(1, 10), position_of(1, 9_000), position_of(2, 10)]
    assert (ours["measured_ms"] - found["measured_ms"]).tolist() == [500, 500, 500]
    assert read == [3]


async def test_what_lies_together_is_one_run_whether_it_has_moved_or_not(
    connection: asyncpg.Connection, stored: Items, read: list[int]
) -> None:
    for apart in (timedelta(0), DAY):
        assert len(await comparing.stored_as(connection, stored[100:400:3], apart)) == 100
    assert read == [298, 298]
