"""What can happen while a COMMIT is under way, and nobody knows yet how it ends? One function each, as in mishaps.py.

The fault point is in the database: a deferred trigger holds the transaction that has stored readings inside its COMMIT.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg

from service.exits import EXIT_PROBLEMS
from service.postgres.fence import FencedWriter
from tests.failures.stage import Stage
from tests.patience import until, until_found, until_true

_TRAP = """
    CREATE OR REPLACE FUNCTION hold_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(77);
        RETURN NULL;
    END
    $$;
    CREATE CONSTRAINT TRIGGER held AFTER INSERT ON stored_reading DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION hold_commit();
"""
TAKES_OVER_WITHIN_S = 60.0
_HELD = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted"
_STORED = "SELECT count(*) FROM reading"


class Held(NamedTuple):
    connection: asyncpg.Connection
    pid: int  # of the ingester's server process
    stored: int  # what others can see

    async def something_more_is_stored(self) -> None:
        await until_found(lambda: self.connection.fetchval(f"{_STORED} HAVING count(*) > $1", self.stored), "a commit")


@asynccontextmanager
async def commit_under_way(stage: Stage) -> AsyncIterator[Held]:
    """The ingester waits for the answer to its COMMIT until the block ends."""
    connection = await asyncpg.connect(stage.database_url)
    try:
        await connection.execute("SELECT pg_advisory_lock(77)")
        await connection.execute(_TRAP)
        pid = await until_found(lambda: connection.fetchval(_HELD), "a commit to be under way")
        yield Held(connection, pid, await connection.fetchval(_STORED))
    finally:
        await connection.execute("SELECT pg_advisory_unlock_all()")
        await connection.execute("DROP TRIGGER held ON stored_reading")
        await connection.close()


async def ingester_killed_while_its_commit_is_under_way(stage: Stage) -> None:
    """It is committed all the same; nothing of it was settled, so the broker delivers it again."""
    async with commit_under_way(stage) as held:
        await stage.ingester.kill()
        await held.connection.execute("SELECT pg_advisory_unlock(77)")
        await held.something_more_is_stored()
    await stage.ingester.start()


async def connection_lost_while_a_commit_is_under_way(stage: Stage) -> None:
    """It is not committed; the ingester cannot know, and looks."""
    before = stage.ingester.now("stored")
    async with commit_under_way(stage) as held:
        await held.connection.execute("SELECT pg_terminate_backend($1)", held.pid)
    await until_true(lambda: stage.ingester.now("stored") > before, "the same batch to be written again")


async def ingester_superseded_while_its_commit_is_under_way(stage: Stage) -> None:
    """Whoever takes over waits for this batch; it was the last of the old owner, who ends."""
    successor = FencedWriter(stage.database_url, 0)
    try:
        async with commit_under_way(stage) as held:
            takeover = asyncio.create_task(successor.take_over("successor"))
            waits = "SELECT true FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))"
            await until_found(lambda: held.connection.fetchval(waits, held.pid), "the takeover to wait")
            assert not takeover.done()
        await until(takeover, "the takeover", TAKES_OVER_WITHIN_S)
        assert await stage.ingester.ended_by_itself() == EXIT_PROBLEMS
    finally:
        await successor.close()
    await stage.ingester.start()


AT_COMMIT = [
    ingester_killed_while_its_commit_is_under_way,
    connection_lost_while_a_commit_is_under_way,
    ingester_superseded_while_its_commit_is_under_way,
]
