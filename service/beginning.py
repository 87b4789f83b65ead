"""What does a role need before it can begin? The time, its rulebook, and a database that answers: waited for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import asyncpg

from service.core.override import Override
from service.core.rulebook import DEFAULT_RULEBOOK, Rulebook, parse_kept
from service.logs import tell
from service.loops.rulebook import RulebookSource
from service.metrics import Metrics
from service.ports import StoreUnavailableError
from service.postgres.housekeeping import PostgresHousekeeping
from service.postgres.outage import outages_told
from service.postgres.overrides import open_overrides
from service.postgres.rulebooks import newest_text
from service.settings import Settings

DATABASE_AGAIN_S: Final = 1.0

Answer = TypeVar("Answer")


def now() -> datetime:
    return datetime.now(UTC)


def housekeeping(settings: Settings, pool: asyncpg.Pool) -> PostgresHousekeeping:
    return PostgresHousekeeping(pool, timedelta(hours=settings.chunk_h) or None)


async def rulebook_source(settings: Settings, pool: asyncpg.Pool, metrics: Metrics | None = None) -> RulebookSource:
    """Where a role learns which rulebook is in force. While the file has mistakes, what it last said stays."""

    async def overrides() -> Sequence[Override]:
        with outages_told():
            async with pool.acquire() as connection:
                return await open_overrides(connection)

    return RulebookSource(settings.rulebook, overrides, metrics, await last_of_file(settings, pool))


async def last_of_file(settings: Settings, pool: asyncpg.Pool) -> Rulebook:
    if settings.rulebook is None:
        return DEFAULT_RULEBOOK
    kept: str | None = await answered(lambda: newest_text(pool))
    return parse_kept(kept or "")[0]


async def answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """What the database answers, asked until it does."""
    while True:
        try:
            with outages_told():
                return await ask()
        except StoreUnavailableError as error:
            tell("database_unreachable", reason=error)
            await asyncio.sleep(DATABASE_AGAIN_S)
