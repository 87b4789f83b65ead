"""A partition a day, made ahead and dropped when retention ends."""

from datetime import date, timedelta

import asyncpg

from service.postgres.partitions import drop_before, make_ahead
from service.postgres.readings import copy_in
from tests.pumps import NOON_MS, readings

TODAY = date(2026, 11, 22)


async def test_days_get_partitions_once_and_readings_go_into_theirs(plain_postgres_url: str) -> None:
    connection = await asyncpg.connect(plain_postgres_url)
    for _ in range(2):
        assert await make_ahead(connection, TODAY - timedelta(days=2), TODAY + timedelta(days=7)) == []
    await connection.execute("INSERT INTO pump (pump_id) VALUES ('a')")
    await copy_in(connection, readings(3, pump=1, start_ms=NOON_MS))
    assert await connection.fetchval("SELECT count(*) FROM reading_20261122") == 3
    assert await connection.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'reading'::regclass") == 11
    await connection.close()


async def test_old_days_are_dropped_and_nothing_else(plain_postgres_url: str) -> None:
    connection = await asyncpg.connect(plain_postgres_url)
    await make_ahead(connection, TODAY - timedelta(days=3), TODAY)
    assert await drop_before(connection, TODAY - timedelta(days=1)) == ["reading_20261119", "reading_20261120"]
    assert await connection.fetchval("SELECT to_regclass('reading_20261121')") is not None
    assert await connection.fetchval("SELECT to_regclass('reading_default')") is not None
    await connection.close()


async def test_a_day_whose_readings_lie_elsewhere_is_left_as_it_is(plain_postgres_url: str) -> None:
    connection = await asyncpg.connect(plain_postgres_url)
    await connection.execute("INSERT INTO pump (pump_id) VALUES ('a')")
    await copy_in(connection, readings(3, pump=1, start_ms=NOON_MS))
    assert await make_ahead(connection, TODAY, TODAY + timedelta(days=1)) == ["2026-11-22"]
    assert await connection.fetchval("SELECT count(*) FROM reading") == 3
    await connection.close()
