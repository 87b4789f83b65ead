"""What becomes of an endpoint that fails: it is probed, held up, disabled; and the others hear of it."""

import json
from datetime import timedelta

from service.core.delivery import Attempt, Outcome
from service.postgres.outbox import PostgresOutbox
from tests.keys import VAULT
from tests.postgres.claiming import DELIVERED, FAILED, GONE, claim, record
from tests.webhooks.rows import Rows, now


async def test_410_disables_the_endpoint_and_tells_the_others_in_the_same_commit(
    outbox: PostgresOutbox, rows: Rows
) -> None:
    gone, other, closed = await rows.an_endpoint(name="pager"), await rows.an_endpoint(), await rows.an_endpoint()
    await rows.pool.execute("UPDATE endpoint SET enabled = false WHERE id = $1", closed)
    notification = await rows.a_notification(gone)
    waiting = await rows.a_notification(gone, due_at=now() + timedelta(minutes=1))
    [claimed] = await claim(outbox)
    recorded = await outbox.record(claimed, GONE, now(), None)
    assert (recorded.held, recorded.disabled, recorded.told) == (True, True, 1)
    assert (await rows.of(notification))["state"] == "failed"
    endpoint = await rows.pool.fetchrow("SELECT enabled, disabled_reason FROM endpoint WHERE id = $1", gone)
    assert tuple(endpoint) == (False, "it answered 410")
    told = await rows.pool.fetchrow("SELECT actor, action, subject FROM audit")
    assert tuple(told) == ("deliver", "endpoint_disabled", str(gone))
    await rows.hurry()
    [news] = await claim(outbox)
    assert (news.endpoint, news.kind, news.alert_id) == (other, "endpoint_disabled", None)
    assert json.loads(news.body)["data"]["endpoint"] == "pager"
    await rows.pool.execute("UPDATE endpoint SET enabled = true")
    assert [each.notification_id for each in await claim(outbox)] == [waiting]


async def fail(outbox: PostgresOutbox, times: int) -> None:
    """Let the one notification that can be claimed fail so often."""
    for _ in range(times):
        [claimed] = await claim(outbox)
        assert await record(outbox, claimed, FAILED, 0)


async def test_an_endpoint_that_fails_five_times_in_a_row_is_only_probed_until_it_answers(
    outbox: PostgresOutbox, rows: Rows
) -> None:
    endpoint = await rows.an_endpoint()
    await rows.a_notification(endpoint, priority="low")
    await fail(outbox, 4)
    [claimed] = await claim(outbox)
    assert (await outbox.record(claimed, FAILED, now(), 0)).opened
    for _ in range(3):
        await rows.a_notification(endpoint, priority="low")
    assert await claim(outbox) == []
    due_s = await outbox.next_due_s()
    assert due_s is not None
    assert 0 < due_s <= 5
    await rows.pass_probes()
    [probe] = await claim(outbox)
    assert await PostgresOutbox(rows.pool, VAULT).claim(100) == [], "one probe at a time, whoever asks"
    assert not (await outbox.record(probe, FAILED, now(), 3600)).opened
    assert await claim(outbox) == []
    await rows.pass_probes()
    [probe] = await claim(outbox)
    assert (await outbox.record(probe, DELIVERED, now(), None)).closed
    assert len(await claim(outbox)) == 3, "also what had failed before and would have had to wait"


async def test_an_answer_of_any_kind_ends_a_row_of_failures(outbox: PostgresOutbox, rows: Rows) -> None:
    await rows.a_notification(await rows.an_endpoint(), priority="low")
    await fail(outbox, 4)
    [claimed] = await claim(outbox)
    assert await record(outbox, claimed, Attempt(Outcome.REFUSED, 400, 1.0), 0)
    await fail(outbox, 4)
    assert await rows.pool.fetchval("SELECT opened_at IS NULL AND failures = 4 FROM circuit")


async def test_retry_after_holds_up_everything_for_that_endpoint(outbox: PostgresOutbox, rows: Rows) -> None:
    endpoint, other = await rows.an_endpoint(), await rows.an_endpoint()
    await rows.a_notification(endpoint)
    [claimed] = await claim(outbox)
    assert await record(outbox, claimed, Attempt(Outcome.THROTTLED, 429, 1.0, retry_after_s=30), 0)
    await rows.a_notification(endpoint)
    elsewhere = await rows.a_notification(other)
    assert [each.notification_id for each in await claim(outbox)] == [elsewhere]
    await rows.pass_probes()
    assert len(await claim(outbox)) == 2
