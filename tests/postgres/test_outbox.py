"""Who may send what, and what is written about it: the outbox on a real PostgreSQL."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import asyncpg
import pytest

from service.core.delivery import Attempt, Outcome
from service.ports import Claimed
from service.postgres.outbox import PLANS, PostgresOutbox, hasten, woken_by
from tests.webhooks.rows import Rows, now

DELIVERED = Attempt(Outcome.DELIVERED, 204, 12.5)
FAILED = Attempt(Outcome.FAILED, 503, 12.5, "Service Unavailable")
GONE = Attempt(Outcome.GONE, 410, 12.5, "Gone")


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(postgres_url, min_size=1, max_size=8, server_settings=PLANS) as pool:
        yield pool


@pytest.fixture
def rows(pool: asyncpg.Pool) -> Rows:
    return Rows(pool)


@pytest.fixture
def outbox(pool: asyncpg.Pool) -> PostgresOutbox:
    return PostgresOutbox(pool)


async def claim(outbox: PostgresOutbox, at: datetime | None = None, limit: int = 100) -> list[Claimed]:
    return await outbox.claim(at or now(), limit, {})


async def test_a_claimed_notification_has_all_that_sending_needs(outbox: PostgresOutbox, rows: Rows) -> None:
    endpoint = await rows.an_endpoint(url="https://example.org/hook")
    notification = await rows.a_notification(endpoint, priority="medium")
    at = now()
    [claimed] = await claim(outbox, at)
    assert claimed.notification_id == notification
    assert (claimed.kind, claimed.priority, claimed.attempts) == ("activated", "medium", 0)
    assert (claimed.url, claimed.endpoint, claimed.lane) == ("https://example.org/hook", endpoint, (endpoint, "medium"))
    assert json.loads(claimed.body)["data"]["what"] == "60 µg/d"
    assert claimed.lease_until == at + timedelta(seconds=30)


async def test_a_lease_is_twice_the_deadline_and_ends(outbox: PostgresOutbox, rows: Rows) -> None:
    await rows.a_notification(await rows.an_endpoint())
    at = now()
    [first] = await claim(outbox, at)
    assert first.lease_until == at + timedelta(seconds=8)
    assert await outbox.next_due(at) == first.lease_until
    assert await claim(outbox, first.lease_until - timedelta(milliseconds=1)) == []
    [second] = await claim(outbox, first.lease_until)
    assert second.lease_token != first.lease_token


async def test_what_is_not_due_is_not_claimed(outbox: PostgresOutbox, rows: Rows) -> None:
    due_at = now() + timedelta(seconds=5)
    await rows.a_notification(await rows.an_endpoint(), due_at=due_at)
    assert await claim(outbox) == []
    assert await outbox.next_due(now()) == due_at
    assert len(await claim(outbox, due_at)) == 1


async def test_two_workers_never_hold_the_same_notification(postgres_url: str, rows: Rows) -> None:
    endpoints = [await rows.an_endpoint() for _ in range(4)]
    for number in range(200):
        await rows.a_notification(endpoints[number % 4], priority=("high", "low")[number % 2])
    at = now()
    held: Counter[str] = Counter()

    async def work(number: int) -> None:
        sizes = itertools.cycle(range(1 + number, 20))
        async with asyncpg.create_pool(postgres_url, min_size=1, max_size=1) as pool:
            outbox = PostgresOutbox(pool, requests_a_lane=7)
            while len(held) < 200:
                held.update(each.notification_id for each in await outbox.claim(at, next(sizes), {}))

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(number) for number in range(4)))
    assert set(held.values()) == {1}
    assert set(held) == set(rows.ids)


async def test_a_resolved_waits_until_its_activated_is_settled(outbox: PostgresOutbox, rows: Rows) -> None:
    endpoint, alert = await rows.an_endpoint(), await rows.an_alert()
    resolved = await rows.a_notification(
        endpoint, alert, number=3, kind="resolved", due_at=now() - timedelta(minutes=1)
    )
    activated = await rows.a_notification(endpoint, alert, number=1)
    [claimed] = await claim(outbox)
    assert claimed.notification_id == activated
    assert await claim(outbox) == []  # leased is not settled
    retry_at = now() + timedelta(hours=1)
    assert await outbox.record(claimed, FAILED, now(), retry_at)
    assert await claim(outbox) == []  # nor is failed once
    [claimed] = await claim(outbox, retry_at)
    assert claimed.notification_id == activated
    assert await outbox.record(claimed, DELIVERED, now(), None)
    [claimed] = await claim(outbox)
    assert claimed.notification_id == resolved


async def test_another_alert_or_endpoint_does_not_wait(outbox: PostgresOutbox, rows: Rows) -> None:
    one, other = await rows.an_endpoint(), await rows.an_endpoint()
    alert = await rows.an_alert()
    first = await rows.a_notification(one, alert, number=1)
    await rows.a_notification(one, alert, number=2, kind="resolved")
    elsewhere = await rows.a_notification(other, alert, number=2, kind="resolved")
    unrelated = await rows.a_notification(one, number=2, kind="resolved")
    assert {each.notification_id for each in await claim(outbox)} == {first, elsewhere, unrelated}


async def test_news_of_an_alert_does_not_wait_out_the_backoff_of_what_is_before_it(
    outbox: PostgresOutbox, rows: Rows
) -> None:
    endpoint, alert = await rows.an_endpoint(), await rows.an_alert()
    activated = await rows.a_notification(endpoint, alert, number=1, priority="low")
    unrelated = await rows.a_notification(endpoint, priority="low")
    for claimed in await claim(outbox):
        assert await outbox.record(claimed, FAILED, now(), now() + timedelta(hours=24))
    rose = await rows.a_notification(endpoint, alert, number=2, kind="priority_rose")
    assert await claim(outbox) == []
    at = now()
    async with rows.pool.acquire() as connection:
        await hasten(connection, [alert], at)
    [claimed] = await claim(outbox, at)
    assert claimed.notification_id == activated
    assert await outbox.record(claimed, FAILED, at, None)
    assert [each.notification_id for each in await claim(outbox, at)] == [rose]
    assert (await rows.of(unrelated))["due_at"] > at + timedelta(hours=23)


async def test_every_attempt_is_written_with_what_came_of_it(outbox: PostgresOutbox, rows: Rows) -> None:
    notification = await rows.a_notification(await rows.an_endpoint())
    [claimed] = await claim(outbox)
    retry_at = now() - timedelta(seconds=1)
    assert await outbox.record(claimed, FAILED, now(), retry_at)
    row = await rows.of(notification)
    assert (row["state"], row["attempts"], row["due_at"], row["lease_token"]) == ("pending", 1, retry_at, None)
    [claimed] = await claim(outbox)
    assert claimed.attempts == 1
    at = now()
    assert await outbox.record(claimed, DELIVERED, at, None)
    row = await rows.of(notification)
    assert (row["state"], row["attempts"], row["settled_at"], row["lease_until"]) == ("delivered", 2, at, None)
    assert await rows.attempts_of(notification) == [(1, "failed", 503), (2, "delivered", 204)]
    attempt = await rows.pool.fetchrow("SELECT * FROM attempt WHERE number = 1")
    assert (attempt["detail"], attempt["duration_ms"]) == ("Service Unavailable", 12.5)
    begun_at = await rows.pool.fetchval("SELECT at FROM attempt WHERE number = 2")
    assert begun_at == at - timedelta(milliseconds=12.5)


async def test_a_notification_that_is_given_up_is_failed_and_lets_the_next_one_go(
    outbox: PostgresOutbox, rows: Rows
) -> None:
    endpoint, alert = await rows.an_endpoint(), await rows.an_alert()
    activated = await rows.a_notification(endpoint, alert, number=1)
    resolved = await rows.a_notification(endpoint, alert, number=2, kind="resolved")
    [claimed] = await claim(outbox)
    assert await outbox.record(claimed, FAILED, now(), None)
    assert (await rows.of(activated))["state"] == "failed"
    assert [each.notification_id for each in await claim(outbox)] == [resolved]


async def test_an_outcome_is_not_written_after_the_lease_was_lost(outbox: PostgresOutbox, rows: Rows) -> None:
    endpoint = await rows.an_endpoint()
    notification = await rows.a_notification(endpoint)
    [lost] = await claim(outbox)
    [held] = await claim(outbox, lost.lease_until)
    assert not await outbox.record(lost, GONE, now(), None)
    row = await rows.of(notification)
    assert (row["state"], row["attempts"], row["lease_token"]) == ("pending", 0, held.lease_token)
    assert await rows.pool.fetchval("SELECT enabled FROM endpoint")
    assert await outbox.record(held, DELIVERED, now(), None)
    assert (await rows.of(notification))["state"] == "delivered"
    assert await rows.attempts_of(notification) == [(1, "gone", 410), (1, "delivered", 204)]
    assert not await outbox.record(held, DELIVERED, now(), None)  # the token is used up


async def test_410_disables_the_endpoint_in_the_same_commit(outbox: PostgresOutbox, rows: Rows) -> None:
    gone, other = await rows.an_endpoint(), await rows.an_endpoint()
    notification = await rows.a_notification(gone)
    waiting = await rows.a_notification(gone, due_at=now() + timedelta(seconds=1))
    unaffected = await rows.a_notification(other, due_at=now() + timedelta(seconds=2))
    [claimed] = await claim(outbox)
    assert await outbox.record(claimed, GONE, now(), None)
    assert (await rows.of(notification))["state"] == "failed"
    assert not await rows.pool.fetchval("SELECT enabled FROM endpoint WHERE id = $1", gone)
    told = await rows.pool.fetchrow("SELECT actor, action, subject FROM audit")
    assert tuple(told) == ("deliver", "endpoint_disabled", str(gone))
    later = now() + timedelta(seconds=3)
    assert await outbox.next_due(now()) == (await rows.of(unaffected))["due_at"]
    assert [each.notification_id for each in await claim(outbox, later)] == [unaffected]
    await rows.pool.execute("UPDATE endpoint SET enabled = true")
    assert [each.notification_id for each in await claim(outbox, later)] == [waiting]


async def test_a_full_lane_gets_no_more_and_pages_never_queue_behind_reports(
    outbox: PostgresOutbox, rows: Rows
) -> None:
    slow, quick = await rows.an_endpoint(), await rows.an_endpoint()
    for _ in range(20):
        await rows.a_notification(slow, priority="low", due_at=now() - timedelta(hours=1))
    page = await rows.a_notification(slow, priority="high")
    elsewhere = await rows.a_notification(quick, priority="low")
    claimed = await claim(outbox)
    assert claimed[0].notification_id == page
    assert Counter(each.lane for each in claimed) == {(slow, "high"): 1, (slow, "low"): 4, (quick, "low"): 1}
    assert elsewhere in {each.notification_id for each in claimed}
    assert await outbox.claim(now(), 100, {(slow, "low"): 4}) == []
    assert len(await outbox.claim(now(), 100, {(slow, "low"): 3, (quick, "high"): 4})) == 1


async def test_when_there_is_room_for_few_the_most_urgent_go_first(outbox: PostgresOutbox, rows: Rows) -> None:
    endpoint = await rows.an_endpoint()
    await rows.a_notification(endpoint, priority="low", due_at=now() - timedelta(hours=2))
    await rows.a_notification(endpoint, priority="medium", due_at=now() - timedelta(hours=1))
    page = await rows.a_notification(endpoint, priority="high")
    assert [each.notification_id for each in await claim(outbox, limit=1)] == [page]


async def test_a_claim_reads_only_what_it_takes_even_where_statistics_know_nothing(
    outbox: PostgresOutbox, rows: Rows
) -> None:
    endpoint, alert = await rows.an_endpoint(), await rows.an_alert()
    many = """
        INSERT INTO notification (id, alert_id, number, endpoint, kind, priority, body, created_at, due_at, state)
        SELECT $3 || i, $1, i + $4, $2, 'activated', 'high', '{}', $5, $5, $3 FROM generate_series(1, 10000) i
    """
    later = now() + timedelta(hours=1)
    await rows.pool.execute(many, alert, endpoint, "delivered", 0, now())
    await rows.pool.execute("VACUUM ANALYZE notification")  # when nothing was pending
    await rows.pool.execute(many, alert, endpoint, "pending", 10000, later)
    for _ in range(20):
        await rows.a_notification(endpoint)
    async with rows.pool.acquire() as connection, connection.transaction():
        before = await connection.fetchval(_ROWS_READ)
        alone = PostgresOutbox(_One(connection))
        claimed = await alone.claim(now(), 100, {})
        assert len(claimed) == 4
        assert await alone.next_due(now()) == claimed[0].lease_until
        assert await connection.fetchval(_ROWS_READ) - before < 100


_ROWS_READ = """
SELECT pg_stat_get_xact_tuples_returned('notification'::regclass)::integer
     + (SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid))::integer
        FROM pg_index WHERE indrelid = 'notification'::regclass)
"""


class _One:
    """A pool of the one connection whose statistics are read."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.fetch = connection.fetch
        self.fetchval = connection.fetchval


async def test_a_listener_wakes_when_notifications_are_committed_and_when_it_may_have_missed_some(
    postgres_url: str, rows: Rows
) -> None:
    async with woken_by(postgres_url) as wake, asyncio.timeout(30):
        await wake.wait()  # it has begun to listen
        wake.clear()
        await rows.announce()
        await wake.wait()
        wake.clear()
        ended = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = $1"
        )
        assert await rows.pool.fetchval(ended, postgres_url.rpartition("/")[2].partition("?")[0]) == 1
        await wake.wait()  # it listens again
        wake.clear()
        await rows.announce()
        await wake.wait()
