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
        await make_ahead(connection, TODAY - timedelta(days=2), TODAY + timedelta(days=7))
    await connection.execute("INSERT INTO pump (pump_id) VALUES ('a')")
    await copy_in(connection, readings(3, pump=1, start_ms=NOON_MS))
    assert await connection.fetchval("SELECT count(*) FROM stored_reading_20261122") == 3
    count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'stored_reading'::regclass"
    assert await connection.fetchval(count) == 11
    await connection.close()


async def test_old_days_are_dropped_and_nothing_else(plain_postgres_url: str) -> None:
    connection = await asyncpg.connect(plain_postgres_url)
    await make_ahead(connection, TODAY - timedelta(days=3), TODAY)
    gone = await drop_before(connection, TODAY - timedelta(days=1))
    assert gone == ["stored_reading_20261119", "stored_reading_20261120"]
    assert await connection.fetchval("SELECT to_regclass('stored_reading_20261121')") is not None
    assert await connection.fetchval("SELECT to_regclass('stored_reading_default')") is not None
    await connection.close()


async def test_what_lay_in_no_partition_moves_into_the_one_of_its_day(plain_postgres_url: str) -> None:
    connection = await asyncpg.connect(plain_postgres_url)
    await connection.execute("INSERT INTO pump (pump_id) VALUES ('a')")
    await copy_in(connection, readings(3, pump=1, start_ms=NOON_MS))
    assert await make_ahead(connection, TODAY, TODAY + timedelta(days=1)) == ["2026-11-22", "2026-11-23"]
    assert await connection.fetchval("SELECT count(*) FROM reading") == 3
    assert await connection.fetchval("SELECT count(*) FROM stored_reading_20261122") == 3
    await connection.close()
