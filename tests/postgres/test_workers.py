"""A worker that is gone gives its leases back at once; one that lives keeps them, whatever happens to its session."""

import asyncpg
import pytest

from service.carriage import LeasesLostError
from service.ports import StoreUnavailableError
from service.postgres.outbox import PostgresOutbox
from service.postgres.workers import LOCK_CLASS, MISSED_LOOKS, Worker, at_work
from tests.keys import VAULT
from tests.patience import until_found
from tests.postgres.claiming import DELIVERED, record
from tests.webhooks.rows import Rows


async def looks(worker: Worker, times: int = MISSED_LOOKS) -> list[str]:
    return [freed for _ in range(times) for freed in await worker.free_the_dead()]


async def _look(worker: Worker) -> bool:
    """Whether it could: that its session was ended is learnt by using it, at the latest."""
    try:
        return await worker.free_the_dead() == []
    except StoreUnavailableError:
        return False


async def sessions(pool: asyncpg.Pool) -> list[int]:
    """The backends that hold a worker's lock."""
    rows = await pool.fetch(
        """
        SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = $1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """,
        LOCK_CLASS,
    )
    return [row["pid"] for row in rows]


async def test_what_a_worker_held_is_free_when_it_is_gone_and_not_before(
    pool: asyncpg.Pool, rows: Rows, postgres_url: str
) -> None:
    notification = await rows.a_notification(await rows.an_endpoint())
    async with at_work(postgres_url) as here:
        async with at_work(postgres_url) as gone:
            [first] = await PostgresOutbox(pool, VAULT, gone).claim(10)
            assert await looks(here, 2 * MISSED_LOOKS) == []
            assert await PostgresOutbox(pool, VAULT, here).claim(10) == []
        await until_found(lambda: sessions(pool), "its session to end", enough=lambda pids: len(pids) == 1)
        assert await looks(here, MISSED_LOOKS - 1) == [], "it may be about to come back"
        assert await looks(here, 1) == [notification]
        assert await looks(here) == []
        row = await rows.of(notification)
        assert row["lease_token"] == first.lease_token, "it may have arrived: it counts as tried"
        [again] = await PostgresOutbox(pool, VAULT, here).claim(10)
        assert not await record(PostgresOutbox(pool, VAULT), first, DELIVERED, None)
        assert await record(PostgresOutbox(pool, VAULT), again, DELIVERED, None)


async def test_a_worker_whose_session_was_ended_keeps_what_it_has_under_way(
    pool: asyncpg.Pool, rows: Rows, postgres_url: str
) -> None:
    await rows.a_notification(await rows.an_endpoint())
    async with at_work(postgres_url) as here, at_work(postgres_url) as other:
        [claimed] = await PostgresOutbox(pool, VAULT, here).claim(10)
        assert await looks(other, 1) == []
        [before] = await pool.fetch("SELECT number FROM delivery_worker ORDER BY number LIMIT 1")
        for pid in await sessions(pool):
            await pool.fetchval("SELECT pg_terminate_backend($1, 10000)", pid)
        await until_found(lambda: _look(here), "it to come back", enough=lambda came: came)
        assert await looks(other, 2 * MISSED_LOOKS) == []
        assert await pool.fetchval("SELECT leased_by FROM notification") > before["number"]
        assert await record(PostgresOutbox(pool, VAULT), claimed, DELIVERED, None)


async def test_a_worker_that_gets_no_session_any_more_is_told_to_let_go(
    pool: asyncpg.Pool, rows: Rows, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rows.a_notification(await rows.an_endpoint())
    async with at_work(postgres_url) as here:
        await PostgresOutbox(pool, VAULT, here).claim(10)
        await here.leave()

        async def full(*_: object, **__: object) -> None:
            raise asyncpg.TooManyConnectionsError("sorry, too many clients already")

        with monkeypatch.context() as patched:
            patched.setattr(asyncpg, "connect", full)
            with pytest.raises(LeasesLostError):
                await here.free_the_dead()
            with pytest.raises(StoreUnavailableError) as told:
                await here.free_the_dead()
            assert not isinstance(told.value, LeasesLostError), "once is enough"
        assert await looks(here, MISSED_LOOKS) != [], "what it let go is free for all, itself too"


async def test_while_the_database_is_away_for_all_nobody_lets_go(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(postgres_url) as here:
        await here.free_the_dead()
        await here.leave()

        async def refused(*_: object, **__: object) -> None:
            raise ConnectionRefusedError

        monkeypatch.setattr(asyncpg, "connect", refused)
        with pytest.raises(StoreUnavailableError) as told:
            await here.free_the_dead()
        assert not isinstance(told.value, LeasesLostError)
