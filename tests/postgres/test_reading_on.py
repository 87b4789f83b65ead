"""A long history is read on part by part: in order, whole, and whatever its clock did."""

import asyncpg
import numpy as np
import pytest

from service.core.reading import EventType, Items, position_of
from service.postgres.reading_on import read_on
from service.postgres.readings import BEGINNING, copy_in, insert_events, instant
from tests.pumps import MINUTE_MS, NOON_MS, event, readings


@pytest.fixture
async def connection(postgres_url: str):  # noqa: ANN201
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("INSERT INTO pump (pump_id) VALUES ('a'), ('b'), ('c')")
    yield connection
    await connection.close()


async def parts_of(connection: asyncpg.Connection, key: int, most: int) -> list[Items]:
    """Until there is no more, each part read from where the one before has ended."""
    parts: list[Items] = []
    after, since, more = -1, BEGINNING, {key}
    while more:
        items, more = await read_on(connection, [key], [after], [since], most)
        parts.append(items)
        if len(items):
            after, since = int(items["position"][-1]), instant(int(items["measured_ms"][-1]))
    return parts


async def test_parts_put_together_are_the_history_in_order_with_its_events(connection: asyncpg.Connection) -> None:
    stored = readings(500, pump=1)
    stored["position"][250:] += 1
    await copy_in(connection, np.concatenate([stored, readings(40, pump=2)]))
    refill = event(EventType.REFILL, seq=250, value=19.5, second=3.1, pump=1, at_ms=NOON_MS + 249 * MINUTE_MS)
    await insert_events(connection, refill, [b'{"type":"refill"}'])
    parts = await parts_of(connection, 1, 100)
    assert max(map(len, parts)) <= 101
    positions = np.concatenate(parts)["position"]
    assert positions.tolist() == [position_of(1, seq) for seq in range(501)]


async def test_a_clock_that_was_set_back_by_hours_changes_nothing_in_the_order(connection: asyncpg.Connection) -> None:
    stored = readings(600, pump=1)
    stored["measured_ms"][300:] -= 400 * MINUTE_MS + 7
    await copy_in(connection, stored)
    for most in (50, 99, 1_000):
        parts = await parts_of(connection, 1, most)
        assert np.concatenate(parts)["position"].tolist() == stored["position"].tolist(), most


async def test_readings_of_one_instant_and_pumps_of_very_different_length_are_all_read(
    connection: asyncpg.Connection,
) -> None:
    same = readings(300, pump=1, spacing_ms=0)
    await copy_in(connection, np.concatenate([same, readings(3, pump=2), readings(120, pump=3)]))
    items, more = await read_on(connection, [1, 2, 3], [-1] * 3, [BEGINNING] * 3, 100)
    assert more == {1, 3}
    assert np.bincount(items["pump"]).tolist() == [0, 100, 3, 100]
    parts = await parts_of(connection, 1, 100)
    assert np.concatenate(parts)["position"].tolist() == same["position"].tolist()
