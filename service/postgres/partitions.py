"""Where do readings lie, and when do they go? On plain PostgreSQL in a partition a day, on TimescaleDB in chunks."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import asyncpg

from service.postgres.outage import outages_told

_LOCK: Final = 0x70756D70  # one process at a time makes or drops partitions
_PARTITIONS: Final = """
    SELECT inhrelid::regclass::text AS name FROM pg_inherits
    WHERE inhparent = 'reading'::regclass AND inhrelid::regclass::text ~ '^reading_[0-9]{8}$'
"""

# TimescaleDB's table is an ordinary one to PostgreSQL.
_PLAIN: Final = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'reading'::regclass"
_READINGS_A_DAY: Final = "SELECT coalesce(sum(86400 / interval_s), 0)::float8 FROM pump WHERE in_service"
# The chunk that is written should stay in memory with its key, and hold a thousand readings of a pump: so many are
# compressed together.
_READINGS_A_CHUNK: Final = 20e6
_CHUNKS: Final = (timedelta(days=7), timedelta(days=3), timedelta(days=1), timedelta(hours=12), timedelta(hours=6))
_CHUNK: Final = """
    SELECT time_interval FROM timescaledb_information.dimensions
    WHERE hypertable_schema = current_schema() AND hypertable_name = 'reading'
"""
_SET_CHUNK: Final = "SELECT set_chunk_time_interval('reading', $1::interval)"
_DROP_CHUNKS: Final = "SELECT drop_chunks($1::text::regclass, older_than => $2::timestamptz) AS name"
_HYPERTABLES: Final = ("reading", "reading_hour", "reading_day")


class PostgresHousekeeping:
    """`ports.Housekeeping` on PostgreSQL."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def make_ahead(self, first: date, last: date) -> list[str]:
        with outages_told():
            async with self._pool.acquire() as connection:
                return await make_ahead(connection, first, last)

    async def drop_before(self, first_kept: date) -> list[str]:
        with outages_told():
            async with self._pool.acquire() as connection:
                return await drop_before(connection, first_kept)


async def make_ahead(connection: asyncpg.Connection, first: date, last: date) -> list[str]:
    """Make the missing partitions of the days from `first` to `last`; return the days that could not have one.

    A day of which readings already lie in the default partition stays there: they would have to be moved.
    TimescaleDB makes its chunks itself; what it is told is how long one is, for this fleet, from the next one on.
    """
    refused: list[str] = []
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if not await connection.fetchval(_PLAIN):
            wanted = chunk_for(await connection.fetchval(_READINGS_A_DAY))
            if await connection.fetchval(_CHUNK) != wanted:
                await connection.execute(_SET_CHUNK, wanted)
            return []
        have = {row["name"] for row in await connection.fetch(_PARTITIONS)}
        for day in _days(first, last):
            name = f"reading_{day:%Y%m%d}"
            if name in have:
                continue
            try:
                async with connection.transaction():
                    await connection.execute(
                        f"CREATE TABLE {name} PARTITION OF reading FOR VALUES FROM ('{day}T00:00Z')"
                        f" TO ('{day + timedelta(days=1)}T00:00Z')"
                    )
            except asyncpg.CheckViolationError:
                refused.append(str(day))
    return refused


async def drop_before(connection: asyncpg.Connection, first_kept: date) -> list[str]:
    """Drop the partitions, or the chunks, of nothing but days before `first_kept`; return their names."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if not await connection.fetchval(_PLAIN):
            before = datetime.combine(first_kept, time(), UTC)
            return [
                row["name"] for table in _HYPERTABLES for row in await connection.fetch(_DROP_CHUNKS, table, before)
            ]
        old = [
            row["name"]
            for row in await connection.fetch(_PARTITIONS)
            if datetime.strptime(row["name"], "reading_%Y%m%d").replace(tzinfo=UTC).date() < first_kept
        ]
        for name in old:
            await connection.execute(f"DROP TABLE {name}")
    return old


def chunk_for(readings_a_day: float) -> timedelta:
    """How long a chunk should be for a fleet that says so much."""
    fit = (chunk for chunk in _CHUNKS if readings_a_day * (chunk / timedelta(days=1)) <= _READINGS_A_CHUNK)
    return next(fit, _CHUNKS[-1])


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
