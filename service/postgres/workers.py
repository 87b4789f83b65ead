"""Which delivery workers live? Each holds the lock of its number on a session of its own, which dies with it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from service.carriage import LeasesLostError
from service.postgres.outage import OUTAGES, outages_told

LOCK_CLASS: Final = 20567
"""First key of the advisory locks; the second is the worker's number."""

MISSED_LOOKS: Final = 4
"""So often in a row a worker's lock must be missing. One that lives and lost its session has a new one before that,
or lets go of what is under way.
"""
RENEWED_WITHIN_S: Final = 0.3

_PLANS: Final = {"enable_seqscan": "off"}  # few of the notifications are leased, whatever statistics believe
_TAKE_NUMBER: Final = "INSERT INTO delivery_worker DEFAULT VALUES RETURNING number"
_LOCK: Final = f"SELECT pg_advisory_lock({LOCK_CLASS}, $1)"
# What was under way over the session that was lost is still ours.
_KEEP_LEASES: Final = "UPDATE notification SET leased_by = $2 WHERE leased_by = $1 AND lease_token IS NOT NULL"
_LEAVE: Final = "DELETE FROM delivery_worker WHERE number = ANY ($1::integer[])"
_LOOK: Final = f"""
SELECT number FROM delivery_worker AS worker
WHERE server_since = pg_postmaster_start_time() AND NOT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND classid = {LOCK_CLASS} AND objid = worker.number::oid AND objsubid = 2 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
# The token stays: what was under way may have arrived, and whoever claims it next writes a new one.
_FREE: Final = """
UPDATE notification SET lease_until = statement_timestamp(), due_at = statement_timestamp()
WHERE id IN (
    SELECT id FROM notification
    WHERE leased_by = ANY ($1::integer[]) AND lease_token IS NOT NULL AND lease_until > statement_timestamp()
        AND state = 'pending'
    FOR UPDATE SKIP LOCKED)
RETURNING id
"""
_FORGET: Final = """
DELETE FROM delivery_worker
WHERE server_since <> pg_postmaster_start_time() AND begun_at < statement_timestamp() - interval '1 day'
"""


# Nobody else gets in either, so nobody frees what is ours.
_AWAY_FOR_ALL: Final = (ConnectionError, FileNotFoundError, asyncpg.OperatorInterventionError)


class Worker:
    """This process among the workers: its number, and the session that holds the lock of it."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._session: asyncpg.Connection | None = None
        self._number: int | None = None
        self._one_at_a_time = asyncio.Lock()
        self._missed: Counter[int] = Counter()

    @asynccontextmanager
    async def claiming(self) -> AsyncIterator[int]:
        """Our number, which stays ours meanwhile: a new one, with all of our leases, if the session was lost.

        Raises StoreUnavailableError; LeasesLostError if others may take what is under way.
        """
        async with self._one_at_a_time:
            _, number = await self._at_work()
            yield number

    async def free_the_dead(self) -> list[str]:
        """Free what workers held that live no longer; the ids of the notifications. To be called now and then."""
        async with self._one_at_a_time:
            session, _ = await self._at_work()
            with outages_told():
                absent = [row["number"] for row in await session.fetch(_LOOK)]
                self._missed = Counter({number: self._missed[number] + 1 for number in absent})
                dead = [number for number, looks in self._missed.items() if looks >= MISSED_LOOKS]
                if not dead:
                    return []
                async with session.transaction():
                    freed = await session.fetch(_FREE, dead)
                    await session.execute(_LEAVE, dead)
        return [row["id"] for row in freed]

    async def leave(self) -> None:
        if self._session is not None:
            self._session.terminate()

    async def _at_work(self) -> tuple[asyncpg.Connection, int]:
        if self._session is None or self._number is None or self._session.is_closed():
            await self.leave()
            with outages_told():
                try:
                    self._session, self._number = await self._begun(self._number)
                except _AWAY_FOR_ALL:
                    raise
                except OUTAGES as error:
                    if self._number is None:
                        raise
                    self._number = None
                    raise LeasesLostError(f"the session was lost, and no new one made: {error!r}") from error
        return self._session, self._number

    async def _begun(self, before: int | None) -> tuple[asyncpg.Connection, int]:
        self._missed.clear()
        within_s = 5.0 if before is None else RENEWED_WITHIN_S
        session = await asyncpg.connect(self._url, timeout=within_s, command_timeout=5, server_settings=_PLANS)
        try:
            async with session.transaction():
                number: int = await session.fetchval(_TAKE_NUMBER)
                await session.execute(_LOCK, number)
                await session.execute(_KEEP_LEASES, before, number)
                await session.execute(_FORGET)
        except BaseException:
            session.terminate()
            raise
        return session, number


@asynccontextmanager
async def at_work(database_url: str) -> AsyncIterator[Worker]:
    """A worker that lives until it leaves, or is killed."""
    worker = Worker(database_url)
    try:
        yield worker
    finally:
        await worker.leave()
