"""Where do readings lie, and when do they go? On plain PostgreSQL in a partition a day, on TimescaleDB in chunks."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import asyncpg

_LOCK: Final = 0x70756D70  # one process at a time makes or drops partitions
# Whoever waits to make or drop one holds up all who come behind, readers too.
_SHORTLY: Final = "SET LOCAL lock_timeout = '2s'"
# `reading_before`: what was stored before readings were whole numbers (0017_whole_numbers.sql).
_PARTITIONS: Final = """
    SELECT inhrelid::regclass::text AS name, to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') AS day
    FROM pg_inherits
    WHERE inhparent IN (to_regclass('stored_reading'), to_regclass('reading_before'))
        AND inhrelid::regclass::text ~ '^(stored_)?reading_[0-9]{8}$'
    ORDER BY 2
"""

# TimescaleDB's table is an ordinary one to PostgreSQL.
_PLAIN: Final = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'stored_reading'::regclass"
_READINGS_A_DAY: Final = "SELECT coalesce(sum(86400 / interval_s), 0)::float8 FROM pump WHERE in_service"
# The chunk that is written should stay in memory with its key, and hold a thousand readings of a pump: so many are
# compressed together.
_READINGS_A_CHUNK: Final = 20e6
_CHUNKS: Final = (timedelta(days=7), timedelta(days=3), timedelta(days=1), timedelta(hours=12), timedelta(hours=6))
_CHUNK: Final = """
    SELECT time_interval FROM timescaledb_information.dimensions
    WHERE hypertable_schema = current_schema() AND hypertable_name = 'stored_reading'
"""
_SET_CHUNK: Final = "SELECT set_chunk_time_interval('stored_reading', $1::interval)"
_DROP_CHUNKS: Final = "SELECT drop_chunks($1::text::regclass, older_than => $2::timestamptz) AS name"
_HYPERTABLES: Final = ("stored_reading", "reading_hour", "reading_day")

# A table of its own first, and then a part of the whole: nobody who reads or writes other days waits. What came of the
# day before there was one moves there.
_MAKE: Final = """
    CREATE TABLE {name} (LIKE stored_reading INCLUDING ALL);
    LOCK TABLE stored_reading_default IN ACCESS EXCLUSIVE MODE;
    WITH gone AS (
        DELETE FROM stored_reading_default WHERE measured_at >= '{since}' AND measured_at < '{until}' RETURNING *
    ) INSERT INTO {name} SELECT * FROM gone;
    ALTER TABLE stored_reading ATTACH PARTITION {name} FOR VALUES FROM ('{since}') TO ('{until}');
"""
_FORGET_LATE: Final = "DELETE FROM late_reading WHERE measured_at < $1"


async def is_plain(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval(_PLAIN))


async def make_ahead(
    connection: asyncpg.Connection, first: date, last: date, chunk: timedelta | None = None
) -> list[str]:
    """Make the missing partitions of the days from `first` to `last`; return the days that were made.

    TimescaleDB makes its chunks itself; what it is told is how long one is, `chunk` or what suits this fleet, from the
    next one on.
    """
    made: list[str] = []
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(_SHORTLY)
        if not await is_plain(connection):
            wanted = chunk or chunk_for(await connection.fetchval(_READINGS_A_DAY))
            if await connection.fetchval(_CHUNK) != wanted:
                await connection.execute(_SET_CHUNK, wanted)
            return []
        have = {row["name"] for row in await connection.fetch(_PARTITIONS)}
        for day in (first + timedelta(days=number) for number in range((last - first).days + 1)):
            name = f"stored_reading_{day:%Y%m%d}"
            if name not in have:
                since, until = _midnight(day), _midnight(day + timedelta(days=1))
                await connection.execute(_MAKE.format(name=name, since=since, until=until))
                made.append(str(day))
    return made


async def drop_before(connection: asyncpg.Connection, first_kept: date) -> list[str]:
    """Drop the partitions, or the chunks, of nothing but days before `first_kept`; return their names."""
    before = _midnight(first_kept)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(_SHORTLY)
        await connection.execute(_FORGET_LATE, before)
        if not await is_plain(connection):
            return [
                row["name"] for table in _HYPERTABLES for row in await connection.fetch(_DROP_CHUNKS, table, before)
            ]
        old = [row["name"] for row in await connection.fetch(_PARTITIONS) if row["day"] < first_kept]
        for name in old:
            await connection.execute(f"DROP TABLE {name}")
    return old


def chunk_for(readings_a_day: float) -> timedelta:
    """How long a chunk should be for a fleet that says so much."""
    fit = (chunk for chunk in _CHUNKS if readings_a_day * (chunk / timedelta(days=1)) <= _READINGS_A_CHUNK)
    return next(fit, _CHUNKS[-1])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
