"""Where do readings lie on plain PostgreSQL? In a partition a day, made ahead and dropped when retention ends."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg

from service.postgres.outage import outages_told

_LOCK: Final = 0x70756D70  # one process at a time makes or drops partitions
_PARTITIONS: Final = """
    SELECT inhrelid::regclass::text AS name FROM pg_inherits
    WHERE inhparent = 'reading'::regclass AND inhrelid::regclass::text ~ '^reading_[0-9]{8}$'
"""


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
    """
    refused: list[str] = []
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
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
    """Drop the partitions of the days before `first_kept`; return their names."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        old = [
            row["name"]
            for row in await connection.fetch(_PARTITIONS)
            if datetime.strptime(row["name"], "reading_%Y%m%d").replace(tzinfo=UTC).date() < first_kept
        ]
        for name in old:
            await connection.execute(f"DROP TABLE {name}")
    return old


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
