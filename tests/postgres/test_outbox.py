"""Who may send what, and what is written about it: the outbox on a real PostgreSQL."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import asyncpg

from service.postgres.outbox import PostgresOutbox, hasten
from service.vault import Vault
from tests.keys import VAULT
from tests.postgres.claiming import DELIVERED, FAILED, GONE, claim, record
from tests.webhooks.rows import Rows, now


async def test_a_claimed_notification_has_all_that_sending_needs(outbox: PostgresOutbox, rows: Rows) -> None:
    endpoint = await rows.an_endpoint(
        url="https://example.org/hook", name="pager", format="pagerduty", routing_key=VAULT.seal("R0")
    )
    alert = await rows.an_alert()
    notification = await rows.a_notification(endpoint, alert, priority="medium")
    [claimed] = await claim(outbox)
    assert claimed.notification_id == notification
    assert (claimed.kind, claimed.priority, claimed.attempts, claimed.failures) == ("activated", "medium", 0, 0)
    assert (claimed.url, claimed.endpoint, claimed.priority) == ("https://example.org/hook", endpoint, "medium")
    assert (claimed.endpoint_name, claimed.format, claimed.routing_key) == ("pager", "pagerduty", "R0")
    assert (claimed.alert_id, claimed.number, claimed.deadline_s) == (alert, 1, 15)
    assert json.loads(claimed.body)["data"]["what"] == "60 µg/d"


async def test_while_a_secret_is_rotated_both_sign_the_newest_first(outbox: PostgresOutbox, rows: Rows) -> None:
    endpoint = await rows.an_endpoint()
    for name, valid_h in (("older", 1), ("old", 2), ("too old", -1)):
        await rows.pool.execute(
            "INSERT INTO former_secret VALUES ($1, $2, $3)",
            endpoint,
            VAULT.seal(name),
            now() + timedelta(hours=valid_h),
        )
    await rows.a_notification(endpoint)
    [claimed] = await claim(outbox)
    assert claimed.secrets[1:] == ("old", "older")


async def test_without_the_key_it_is_claimed_and_says_why_it_cannot_be_sent(pool: asyncpg.Pool, rows: Rows) -> None:
    await rows.a_notification(await rows.an_endpoint())
    [claimed] = await PostgresOutbox(pool, Vault()).claim(10)
    assert claimed.secrets == ()
    assert claimed.problem.startswith("PUMPWATCH_SECRET_KEY: not set")


async def test_a_lease_is_twice_the_deadline_and_ends(outbox: PostgresOutbox, rows: Rows) -> None:
    own = await rows.an_endpoint(answer_within_s=10.0)
    await rows.a_notification(own)
    notification = await rows.a_notification(await rows.an_endpoint())
    firsts = {each.notification_id: each for each in await claim(outbox)}
    assert sorted(each.deadline_s for each in firsts.values()) == [4, 10]
    row = await rows.of(notification)
    assert row["lease_until"] - row["claimed_at"] == timedelta(seconds=8)
    due_s = await outbox.next_due_s()
    assert due_s is not None
    assert 0 < due_s <= 8
    assert await claim(outbox) == []
    await rows.pass_leases()
    again = {each.notification_id: each for each in await claim(outbox)}
    assert again[notification].lease_token != firsts[notification].lease_token
    assert (await rows.of(notification))["claimed_at"] == row["claimed_at"], "since when it is on its way"


async def test_what_is_not_due_is_not_claimed(outbox: PostgresOutbox, rows: Rows) -> None:
    due_at = now() + timedelta(seconds=5)
    await rows.a_notification(await rows.an_endpoint(), due_at=due_at)
    assert await claim(outbox) == []
    due_s = await outbox.next_due_s()
    assert due_s is not None
    assert 0 < due_s <= 5
    await rows.hurry()
    assert len(await claim(outbox)) == 1


async def test_two_workers_never_hold_the_same_notification(postgres_url: str, rows: Rows) -> None:
    endpoints = [await rows.an_endpoint(most_requests=60) for _ in range(4)]
    for number in range(200):
        await rows.a_notification(endpoints[number % 4], priority=("high", "low")[number % 2])
    held: Counter[str] = Counter()

    async def work(number: int) -> None:
        sizes = itertools.cycle(range(1 + number, 20))
        async with asyncpg.create_pool(postgres_url, min_size=1, max_size=1) as pool:
            outbox = PostgresOutbox(pool, VAULT)
            while len(held) < 200:
                held.update(each.notification_id for each in await outbox.claim(next(sizes)))

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
    assert await record(outbox, claimed, FAILED, 3600)
    assert await claim(outbox) == []  # nor is failed once
    await rows.hurry()
    [claimed] = await claim(outbox)
    assert claimed.notification_id == activated
    assert await record(outbox, claimed, DELIVERED, None)
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
        assert await record(outbox, claimed, FAILED, 24 * 3600)
    rose = await rows.a_notification(endpoint, alert, number=2, kind="priority_rose")
    assert await claim(outbox) == []
    at = now()
    async with rows.pool.acquire() as connection:
        await hasten(connection, [alert], at)
    [claimed] = await claim(outbox)
    assert claimed.notification_id == activated
    assert await record(outbox, claimed, FAILED, None)
    assert [each.notification_id for each in await claim(outbox)] == [rose]
    assert (await rows.of(unrelated))["due_at"] > at + timedelta(hours=23)


async def test_every_attempt_is_written_with_what_came_of_it(outbox: PostgresOutbox, rows: Rows) -> None:
    notification = await rows.a_notification(await rows.an_endpoint())
    [claimed] = await claim(outbox)
    assert await record(outbox, claimed, FAILED, 0)
    row = await rows.of(notification)
    assert (row["state"], row["attempts"], row["failures"], row["lease_token"]) == ("pending", 1, 1, None)
    assert row["failed_since"] == row["due_at"]
    [claimed] = await claim(outbox)
    assert (claimed.attempts, claimed.failures) == (1, 1)
    assert await record(outbox, claimed, DELIVERED, None)
    row = await rows.of(notification)
    assert (row["state"], row["attempts"], row["failed_since"], row["lease_until"]) == ("delivered", 2, None, None)
    assert await rows.attempts_of(notification) == [(1, "server_error", 503), (2, "delivered", 204)]
    attempt = await rows.pool.fetchrow("SELECT * FROM attempt WHERE number = 1")
    assert (attempt["detail"], attempt["duration_ms"]) == ("Service Unavailable", 12.5)
    assert (json.loads(attempt["headers"]), attempt["answer"]) == ({"webhook-id": "n"}, "no\ufffd")
    begun_at = await rows.pool.fetchval("SELECT at FROM attempt WHERE number = 2")
    assert begun_at == row["settled_at"] - timedelta(milliseconds=12.5)


async def test_a_notification_that_is_given_up_is_failed_and_lets_the_next_one_go(
    outbox: PostgresOutbox, rows: Rows
) -> None:
    endpoint, alert = await rows.an_endpoint(), await rows.an_alert()
    activated = await rows.a_notification(endpoint, alert, number=1)
    resolved = await rows.a_notification(endpoint, alert, number=2, kind="resolved")
    [claimed] = await claim(outbox)
    assert await record(outbox, claimed, FAILED, None)
    assert (await rows.of(activated))["state"] == "failed"
    assert [each.notification_id for each in await claim(outbox)] == [resolved]


async def test_an_outcome_is_not_written_after_the_lease_was_lost(outbox: PostgresOutbox, rows: Rows) -> None:
    endpoint = await rows.an_endpoint()
    notification = await rows.a_notification(endpoint)
    [lost] = await claim(outbox)
    await rows.pass_leases()
    [held] = await claim(outbox)
    assert not await record(outbox, lost, GONE, None)
    row = await rows.of(notification)
    assert (row["state"], row["attempts"], row["lease_token"]) == ("pending", 0, held.lease_token)
    assert await rows.pool.fetchval("SELECT enabled FROM endpoint")
    assert await record(outbox, held, DELIVERED, None)
    assert (await rows.of(notification))["state"] == "delivered"
    assert await rows.attempts_of(notification) == [(1, "gone", 410), (1, "delivered", 204)]
    assert not await record(outbox, held, DELIVERED, None)  # the token is used up


async def test_a_full_lane_gets_no_more_for_any_worker_and_pages_never_queue_behind_reports(
    outbox: PostgresOutbox, rows: Rows
) -> None:
    slow, quick = await rows.an_endpoint(), await rows.an_endpoint(most_requests=1)
    for _ in range(20):
        await rows.a_notification(slow, priority="low", due_at=now() - timedelta(hours=1))
    page = await rows.a_notification(slow, priority="high")
    elsewhere = await rows.a_notification(quick, priority="low")
    await rows.a_notification(quick, priority="low")
    claimed = await claim(outbox)
    assert claimed[0].notification_id == page
    lanes = Counter((each.endpoint, each.priority) for each in claimed)
    assert lanes == {(slow, "high"): 1, (slow, "low"): 4, (quick, "low"): 1}
    assert elsewhere in {each.notification_id for each in claimed}
    assert await PostgresOutbox(rows.pool, VAULT).claim(100) == [], "another worker sees what this one has under way"
    [report] = [each for each in claimed if each.notification_id == elsewhere]
    assert await record(outbox, report, DELIVERED, None)
    assert [(each.endpoint, each.priority) for each in await claim(outbox)] == [(quick, "low")]


async def test_when_there_is_room_for_few_the_most_urgent_go_first(outbox: PostgresOutbox, rows: Rows) -> None:
    endpoint = await rows.an_endpoint()
    await rows.a_notification(endpoint, priority="low", due_at=now() - timedelta(hours=2))
    await rows.a_notification(endpoint, priority="medium", due_at=now() - timedelta(hours=1))
    page = await rows.a_notification(endpoint, priority="high")
    assert [each.notification_id for each in await claim(outbox, limit=1)] == [page]


async def test_a_claim_reads_only_what_it_takes_even_where_statistics_know_nothing(rows: Rows) -> None:
    endpoint, alert = await rows.an_endpoint(), await rows.an_alert()
    async with rows.pool.acquire() as connection:
        early = PostgresOutbox(_One(connection), VAULT)
        assert await early.claim(100) == []  # a plan made now is kept
        await _look(early, rows, connection, endpoint, alert)


async def _look(
    outbox: PostgresOutbox, rows: Rows, connection: asyncpg.Connection, endpoint: UUID, alert: UUID
) -> None:
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
    async with connection.transaction():
        before = await connection.fetchval(_ROWS_READ)
        assert len(await outbox.claim(100)) == 4
        assert await outbox.next_due_s() is not None
        assert await connection.fetchval(_ROWS_READ) - before < 100


_ROWS_READ = """
SELECT pg_stat_get_xact_tuples_returned('notification'::regclass)::integer
     + (SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid))::integer
        FROM pg_index WHERE indrelid = 'notification'::regclass)
"""


class _One:
    """A pool of the one connection whose statistics are read."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.fetchval = connection.fetchval

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[asyncpg.Connection]:
        yield self._connection
