"""What was kept aside is read again once what was wrong with it is put right, as it came and as when it came."""

import asyncio
from datetime import UTC, datetime

import asyncpg

from service.loops.replaying import Rereading
from service.ports import RawMessage, Token
from service.postgres import aside
from service.postgres.aside import PostgresReplays, State
from service.postgres.registry import upsert
from tests.loops.driven import Driven, Feed, telemetry
from tests.postgres.test_registry import entries

WITHIN_S = 60


class Reread(Rereading):
    """With what a test looks at of the feed beneath."""

    def __init__(self, feed: Feed, pool: asyncpg.Pool) -> None:
        super().__init__(feed, PostgresReplays(pool, lambda: datetime.now(UTC)), [0], look_every_s=0.01)
        self.feed = feed

    @property
    def queue(self) -> list[RawMessage]:
        return self.feed.queue


async def until_replayed(driven: Driven, pool: asyncpg.Pool, number: int) -> asyncpg.Record:
    async with asyncio.timeout(WITHIN_S):
        while True:
            await driven.wait_ms(1)
            row = await pool.fetchrow(aside._ONE, number)
            if row["state"] == State.REPLAYED:
                return row
            await asyncio.sleep(0.01)


async def test_a_message_of_a_pump_that_nobody_had_listed_is_stored_once_it_is(postgres_url: str) -> None:
    async with asyncpg.create_pool(postgres_url) as pool:
        driven = Driven(postgres_url, enrolment_open=False)
        driven.feed = Reread(driven.feed, pool)  # type: ignore[assignment] - a feed with more beside it
        await driven.start()
        driven.send("p1", telemetry(0, [1.0] * 3))
        came_ms = driven.now_ms
        await driven.turn()
        kept = await pool.fetchrow("SELECT id, reason FROM quarantine")
        assert await pool.fetchval("SELECT count(*) FROM reading") == 0
        async with pool.acquire() as connection:
            await upsert(connection, entries("p1"))
            await driven.look_for_changes()
            assert await aside.ask_replay(connection, kept["id"], "ada", datetime.now(UTC))
        row = await until_replayed(driven, pool, kept["id"])
        assert (row["again_id"], row["replay_asked_by"]) == (None, "ada")
        stored = await pool.fetch("SELECT received_at FROM reading")
        # Whoever looks when the pump was heard last is not told that it was just now.
        assert {row["received_at"] for row in stored} == {datetime.fromtimestamp(came_ms / 1000, UTC)}
        assert len(stored) == 3
        assert await pool.fetchval("SELECT count(*) FROM quarantine") == 1
        assert driven.feed.feed.settled == [1]  # type: ignore[attr-defined] - the broker hears nothing of it
        await driven.ingester.end()
        await driven.feed.close()


async def test_what_is_still_bad_is_kept_aside_again_and_says_so(postgres_url: str) -> None:
    async with asyncpg.create_pool(postgres_url) as pool:
        driven = Driven(postgres_url)
        driven.feed = Reread(driven.feed, pool)  # type: ignore[assignment] - a feed with more beside it
        await driven.start()
        for number in (1, 2, 3):
            message = RawMessage(Token(1, number), b"pumps/v1/p1/telemetry", b"{bad %d" % number, driven.now_ms)
            driven.feed.queue.append(message)
        await driven.turn()
        async with pool.acquire() as connection:
            rows = await connection.fetch("SELECT id, reason FROM quarantine ORDER BY id")
            (first, reason), (second, _), (third, _) = rows
            assert await aside.drop(connection, third, "a test", "ada", datetime.now(UTC))
            asked = await aside.ask_replay_all(connection, reason, None, 100, "ada", datetime.now(UTC))
            assert asked == 2  # what was dropped is not needed
        for number in (first, second):
            row = await until_replayed(driven, pool, number)
            again = await pool.fetchrow(aside._ONE, row["again_id"])
            assert (again["sha256"], again["state"]) == (row["sha256"], State.KEPT)
        assert await pool.fetchval("SELECT count(*) FROM quarantine") == 5
        await driven.ingester.end()
        await driven.feed.close()
