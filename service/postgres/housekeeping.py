"""What does the store need now and then? `ports.Housekeeping` on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta

import asyncpg

from service.ports import Forgotten, Merged, StoreUnavailableError, Waiting
from service.postgres import changes, late, retention
from service.postgres.outage import outages_told
from service.postgres.partitions import drop_before, make_ahead


class PostgresHousekeeping:
    def __init__(self, pool: asyncpg.Pool, chunk: timedelta | None = None) -> None:
        self._pool, self._chunk = pool, chunk

    async def make_ahead(self, first: date, last: date) -> list[str]:
        async with self._connection() as connection:
            return await make_ahead(connection, first, last, self._chunk)

    async def drop_before(self, first_kept: date) -> list[str]:
        async with self._connection() as connection:
            return await drop_before(connection, first_kept)

    async def longest_kept_d(self, retention_d: int) -> int:
        async with self._connection() as connection:
            return await retention.longest_kept_d(connection, retention_d)

    async def forget_a_day(self, today: date, retention_d: int) -> Forgotten | None:
        async with self._connection() as connection:
            return await retention.forget_a_day(connection, today, retention_d)

    async def forget_changes(self, now: datetime) -> int:
        async with self._connection() as connection:
            return await changes.forget(connection, now)

    async def waiting(self, until: date, most: int) -> list[Waiting]:
        async with self._connection() as connection:
            return await late.waiting(connection, until, most)

    async def merge(self, slot: Waiting, most: int, now: datetime) -> Merged:
        async with self._connection() as connection:
            return await late.merge(connection, slot, most, now)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Work that must not wait for others is postponed where it would."""
        with outages_told():
            try:
                async with self._pool.acquire() as connection:
                    yield connection
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.QueryCanceledError) as error:
                raise StoreUnavailableError(f"{type(error).__name__}: {error}") from None
