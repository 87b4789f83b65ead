"""The watch is killed after each of its statements: what was due is done once, and by whoever looks next."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.core.change import Condition, Turn
from tests.episodes import at, turned
from tests.failures.lives import killed_after_each_statement
from tests.postgres.ward import STORE, Ward


@pytest.fixture
async def ward(postgres_url: str) -> AsyncIterator[Ward]:
    connection = await asyncpg.connect(postgres_url)
    yield Ward(connection)
    await connection.close()


async def test_whatever_is_due_is_done_once_wherever_the_watch_is_killed(ward: Ward, postgres_url: str) -> None:
    await ward.policy(remind_after_s=60, answer_within_s=60)
    # None of high priority: whether a page is undelivered is told by a clock that no test turns on.
    for condition in (Condition.OVER_DELIVERY, Condition.UNDER_DELIVERY, Condition.RESERVOIR_LOW):
        await ward.apply(turned(Turn.BEGAN, 30, condition, pump=await ward.pump(condition)), minute=30)
    await ward.arrives()
    ids = {row["condition"]: row["id"] for row in await ward.connection.fetch("SELECT id, condition FROM alert")}
    await STORE.acknowledge(ward.connection, ids["under_delivery"], "ada", "", at(31))
    await STORE.shelve(ward.connection, ids["reservoir_low"], "ada", "refill booked", at(31), until=at(34))
    await ward.look(32)  # reminds
    await ward.arrives()
    before = len(await ward.told())

    lives = await killed_after_each_statement("look", postgres_url, at(35).isoformat())
    assert len(lives.killed_after) > 10, lives.killed_after
    lives.fault_points(
        "FOR UPDATE SKIP LOCKED", "UPDATE alert", "INSERT INTO alert_history", "INSERT INTO notification"
    )

    told = (await ward.told())[before:]
    assert sorted(told) == ["activated desk", "escalated ada's phone", "repeated desk"]
    assert sorted((await ward.history())[-3:]) == ["escalated", "taken_back", "unshelved"]
    rows = await ward.connection.fetch("SELECT id, version, escalate_at FROM alert")
    for row in rows:
        count = await ward.connection.fetchval("SELECT count(*) FROM alert_history WHERE alert_id = $1", row["id"])
        assert count == row["version"]
        assert row["escalate_at"] > at(35)
    assert await ward.look(35, seconds=1) == []
