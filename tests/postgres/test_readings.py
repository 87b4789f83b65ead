"""Readings go in as binary COPY and come back to the bit, in the order of their positions."""

import asyncpg
import numpy as np
import pytest

from service.core.reading import EventType, Mode, position_of
from service.postgres.readings import BEGINNING, copy_in, insert_events, instant, read_back
from tests.pumps import MINUTE_MS, NOON_MS, event, readings


@pytest.fixture
async def connection(postgres_url: str):  # noqa: ANN201
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("INSERT INTO pump (pump_id) VALUES ('a'), ('b'), ('c')")
    yield connection
    await connection.close()


def uneven(pump: int) -> np.ndarray:
    items = readings(50, pump=pump, flow=np.random.default_rng(pump).random(50) * 1.7, program_ml_d=0.123456)
    items["delivered_ul"][::3] = np.round(np.arange(17) * 1.23456, 2)
    items["mode"][::4] = 2
    return items


async def test_what_was_stored_comes_back_to_the_bit(connection: asyncpg.Connection) -> None:
    stored = np.concatenate([uneven(1), uneven(2)])
    await copy_in(connection, stored)
    refill = event(EventType.REFILL, seq=50, value=19.5, second=3.1, pump=2, at_ms=NOON_MS + 50 * MINUTE_MS)
    changed = event(EventType.PROGRAM_CHANGED, seq=51, value=0.006, second=0.0, mode=Mode.MINIMUM, pump=2)
    await insert_events(connection, refill, [b'{"type":"refill"}'])
    await insert_events(connection, changed, [b'{"type":"program_changed","mode":"minimum"}'])
    back = await read_back(connection, [1, 2], [-1, -1], [BEGINNING, BEGINNING])
    expected = np.concatenate([stored, refill, changed])
    expected["message"] = -1
    for name in expected.dtype.names or ():
        assert np.array_equal(back[name], expected[name], equal_nan=name not in {"pump", "kind", "mode"}), name


async def test_only_what_follows_a_pumps_position_comes_back(connection: asyncpg.Connection) -> None:
    await copy_in(connection, np.concatenate([uneven(1), uneven(2), uneven(3)]))
    after = [position_of(1, 47), position_of(1, 49)]
    back = await read_back(connection, [1, 3], after, [instant(NOON_MS + 47 * MINUTE_MS)] * 2)
    assert back["pump"].tolist() == [1, 1]
    assert back["position"].tolist() == [position_of(1, 48), position_of(1, 49)]


async def test_a_reading_that_is_there_already_is_refused(connection: asyncpg.Connection) -> None:
    await copy_in(connection, uneven(1))
    with pytest.raises(asyncpg.UniqueViolationError):
        await copy_in(connection, uneven(1)[:1])


async def test_values_are_null_where_the_pump_does_not_say(connection: asyncpg.Connection) -> None:
    await copy_in(connection, uneven(1))
    assert await connection.fetchval("SELECT count(*) FROM reading WHERE delivered_ul IS NULL") == 33
    stored = await connection.fetchrow("SELECT * FROM reading ORDER BY position LIMIT 1")
    assert stored["measured_at"] == instant(NOON_MS)
    assert stored["program_ml_d"] == pytest.approx(0.1235)


async def test_a_reading_from_far_outside_every_partition_is_stored_all_the_same(
    connection: asyncpg.Connection,
) -> None:
    await copy_in(connection, readings(1, pump=1, start_ms=0))
    assert await connection.fetchval("SELECT count(*) FROM reading") == 1
