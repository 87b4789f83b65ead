"""Which pages have not arrived, and which are given up: the facts that escalation goes by."""

import asyncio
from datetime import timedelta

from service.core.change import Priority
from service.postgres.outbox import PostgresOutbox
from service.postgres.waking import UNDELIVERED, woken_by
from tests.postgres.claiming import DELIVERED, FAILED, claim, record
from tests.webhooks.rows import Rows, now


async def undelivered(rows: Rows) -> list[tuple[str, str]]:
    found = await rows.pool.fetch("SELECT notification_id, reason FROM undelivered_page ORDER BY since")
    return [tuple(row) for row in found]


async def test_a_page_that_failed_twice_is_a_fact_that_somebody_is_woken_for(
    outbox: PostgresOutbox, rows: Rows, postgres_url: str
) -> None:
    async with woken_by(postgres_url, UNDELIVERED) as woken, asyncio.timeout(30):
        await woken.wait()  # it has begun to listen
        woken.clear()
        page = await rows.a_notification(await rows.an_endpoint())
        await rows.a_notification(await rows.an_endpoint(), priority="low")
        await rows.a_notification(await rows.an_endpoint(), kind="resolved")
        for _ in range(2):
            assert await undelivered(rows) == []
            for claimed in await claim(outbox):
                assert await record(outbox, claimed, FAILED, 0)
        assert await undelivered(rows) == [(page, "two_failures")]
        await woken.wait()
        for claimed in await claim(outbox):
            assert await record(outbox, claimed, DELIVERED, None)
        assert await undelivered(rows) == []


async def test_a_page_that_nobody_has_taken_or_finished_for_eight_seconds_is_one_too(
    outbox: PostgresOutbox, rows: Rows
) -> None:
    untouched = await rows.a_notification(await rows.an_endpoint())
    hanging = await rows.a_notification(await rows.an_endpoint())
    disabled = await rows.a_notification(await rows.an_endpoint(enabled=False))
    assert await undelivered(rows) == [(disabled, "endpoint_disabled")]
    assert len(await claim(outbox)) == 2
    past = now() - timedelta(seconds=9)
    await rows.pool.execute("UPDATE notification SET claimed_at = $2 WHERE id = $1", hanging, past)
    await rows.pool.execute(
        "UPDATE notification SET claimed_at = NULL, due_at = $2 WHERE id = $1", untouched, past - timedelta(seconds=1)
    )
    assert await undelivered(rows) == [
        (untouched, "eight_seconds"),
        (hanging, "eight_seconds"),
        (disabled, "endpoint_disabled"),
    ]


async def test_a_page_for_an_endpoint_that_is_known_to_fail_is_one_at_once(outbox: PostgresOutbox, rows: Rows) -> None:
    endpoint = await rows.an_endpoint()
    await rows.pool.execute("INSERT INTO circuit (endpoint, opened_at) VALUES ($1, now())", endpoint)
    page = await rows.a_notification(endpoint)
    assert await undelivered(rows) == [(page, "circuit_open")]
    await rows.pool.execute("UPDATE notification SET due_at = $1", now() + timedelta(hours=1))
    assert await undelivered(rows) == [], "it is kept back: nobody has tried"


async def test_a_page_that_was_given_up_stays_a_fact(outbox: PostgresOutbox, rows: Rows) -> None:
    page = await rows.a_notification(await rows.an_endpoint())
    [claimed] = await claim(outbox)
    assert await record(outbox, claimed, FAILED, None)
    assert await undelivered(rows) == [(page, "given_up")]


async def test_what_nobody_could_try_is_given_up_when_its_patience_is_over(outbox: PostgresOutbox, rows: Rows) -> None:
    old, young = (
        await rows.a_notification(await rows.an_endpoint()),
        await rows.a_notification(await rows.an_endpoint()),
    )
    leased = await rows.a_notification(await rows.an_endpoint())
    await rows.pool.execute("UPDATE notification SET created_at = $1 WHERE id <> $2", now() - timedelta(hours=2), young)
    await rows.pool.execute(
        "UPDATE notification SET lease_token = gen_random_uuid(), lease_until = $2 WHERE id = $1",
        leased,
        now() + timedelta(seconds=8),
    )
    swept = await outbox.sweep(dict.fromkeys(Priority, 3600.0))
    assert [each.notification_id for each in swept.given_up] == [old]
    assert [(await rows.of(each))["state"] for each in (old, young, leased)] == ["failed", "pending", "pending"]
