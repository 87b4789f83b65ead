"""Notifications on their way, over a real database and to real endpoints that fail in their ways."""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import asyncpg
import pytest

from service.core.change import Priority
from service.postgres import workers
from tests.loops.worker import Working, working
from tests.servers import eventually
from tests.webhooks.endpoint import Conduct, Endpoint, Request, answers, answers_when, never_answers
from tests.webhooks.rows import Rows, now, until


@pytest.fixture
async def rows(postgres_url: str) -> AsyncIterator[Rows]:
    async with asyncpg.create_pool(postgres_url, min_size=1, max_size=4) as pool:
        yield Rows(pool)


async def test_what_was_committed_is_delivered_at_once_signed_and_counted(postgres_url: str, rows: Rows) -> None:
    async with Endpoint() as endpoint, working(postgres_url) as worker:
        target = await rows.an_endpoint(endpoint)
        notification = await rows.a_notification(target)
        await rows.announce()
        await rows.until_settled()
        assert [(request.id, request.verified) for request in endpoint.requests] == [(notification, True)]
        assert (await rows.of(notification))["state"] == "delivered"
        sample = worker.metrics.registry.get_sample_value
        assert sample("pumpwatch_attempts_total", {"outcome": "delivered"}) == 1
        assert sample("pumpwatch_reading_to_webhook_seconds_count") == 1


async def test_each_way_to_fail_leaves_exactly_its_attempts_and_one_id(postgres_url: str, rows: Rows) -> None:
    # What the peers get wrong: 500, 429 with Retry-After, 400, no answer at all, and an answer that is only slow.
    slow = asyncio.Event()
    ways: dict[str, tuple[list[Conduct], list[tuple[int, str, int | None]]]] = {
        "failing": (
            [answers(500), answers(503)],
            [(1, "server_error", 500), (2, "server_error", 503), (3, "delivered", 204)],
        ),
        "throttling": ([answers(429, retry_after="3")], [(1, "throttled", 429), (2, "delivered", 204)]),
        "refusing": ([answers(400)], [(1, "refused", 400), (2, "delivered", 204)]),
        "keeping us waiting": ([never_answers], [(1, "timed_out", None), (2, "delivered", 204)]),
        "redirecting": ([answers(302, location="/elsewhere")], [(1, "redirected", 302), (2, "delivered", 204)]),
        "slow": ([answers_when(slow)], [(1, "delivered", 200)]),
        "gone": ([answers(410)], [(1, "gone", 410)]),
    }
    endpoints = {way: Endpoint() for way in ways}
    ids: dict[str, str] = {}
    for way, endpoint in endpoints.items():
        await endpoint.__aenter__()
        ids[way] = await rows.a_notification(
            await rows.an_endpoint(endpoint), priority="low" if way == "slow" else "high"
        )
        # Not to the news that another endpoint is gone.
        endpoint.conduct_of = _once_each(ids[way], ways[way][0])
    async with working(postgres_url):
        # Slower than a page may be, in time for a report.
        await until(lambda: _is(rows, ids["keeping us waiting"], "delivered"))
        slow.set()
        await rows.until_settled()
    for way, endpoint in endpoints.items():
        await endpoint.__aexit__(None, None, None)
        assert await rows.attempts_of(ids[way]) == ways[way][1], way
        ours = [request for request in endpoint.requests if request.body["type"] == "alert.activated"]
        assert {(request.id, request.verified) for request in ours} == {(ids[way], True)}, way
        assert len(ours) == len(ways[way][1]), way
        expected = "failed" if way == "gone" else "delivered"
        assert (await rows.of(ids[way]))["state"] == expected, way
    first, second = await rows.pool.fetch(
        "SELECT at FROM attempt WHERE notification_id = $1 ORDER BY number", ids["throttling"]
    )
    assert second["at"] - first["at"] >= timedelta(seconds=3)


def _once_each(notification: str, conducts: list[Conduct]) -> Callable[[Request], Conduct]:
    left = deque(conducts)
    return lambda request: left.popleft() if request.id == notification and left else answers(204)


async def _is(rows: Rows, notification: str, state: str) -> bool:
    return bool((await rows.of(notification))["state"] == state)


async def test_a_timestamp_is_that_of_the_attempt_and_the_body_never_changes(postgres_url: str, rows: Rows) -> None:
    async with Endpoint() as endpoint:
        endpoint.conducts.append(answers(429, retry_after="2"))
        await rows.a_notification(await rows.an_endpoint(endpoint))
        async with working(postgres_url):
            await rows.until_settled()
        first, second = endpoint.requests
        assert second.timestamp >= first.timestamp + 2
        assert (first.id, first.body) == (second.id, second.body)
        assert second.verified


async def test_the_wait_for_the_next_attempt_is_that_of_the_attempts_made(postgres_url: str, rows: Rows) -> None:
    async with Endpoint() as endpoint:
        endpoint.conduct_of = lambda _: answers(500)
        notification = await rows.a_notification(await rows.an_endpoint(endpoint), priority="low")
        async with working(postgres_url):
            for made, wait_s in ((1, 5), (2, 300)):
                await until(lambda made=made: _attempted(rows, notification, made))
                row = await rows.of(notification)
                ended_at = await rows.pool.fetchval(
                    "SELECT max(at + duration_ms * interval '1 ms') FROM attempt WHERE notification_id = $1",
                    notification,
                )
                waited_s = (row["due_at"] - ended_at).total_seconds()
                assert wait_s <= waited_s + 0.001 <= wait_s * 1.1 + 0.002
                await rows.hurry()
                await rows.announce()


async def _attempted(rows: Rows, notification: str, times: int) -> bool:
    return bool((await rows.of(notification))["attempts"] == times)


async def test_nothing_is_sent_on_a_lease_that_is_half_over(
    postgres_url: str, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    # Claimed, then held up for 5 s of a lease of 8 s; the second look may be that of the sweep.
    ahead_s = itertools.chain([0, 5, 5], itertools.repeat(9))
    async with Endpoint() as endpoint:
        notification = await rows.a_notification(await rows.an_endpoint(endpoint))
        async with working(postgres_url, monotonic_s=lambda: time.monotonic() + next(ahead_s)):
            await eventually(lambda: "lease_too_short" in [record.message for record in caplog.records])
            await rows.pass_leases()
            await rows.announce()
            # Told after it was committed, which the database shows first.
            await eventually(lambda: "notification_delivered" in [record.message for record in caplog.records])
    events = [record.message for record in caplog.records if record.name.startswith("pumpwatch")]
    assert events == ["lease_too_short", "notification_delivered", "delivery_stopping"]
    assert len(endpoint.requests) == 1
    assert await rows.attempts_of(notification) == [(1, "delivered", 204)]


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_worker_whose_clock_is_wrong_takes_no_lease_early_and_waits_no_longer(
    postgres_url: str, rows: Rows, off: timedelta
) -> None:
    go = asyncio.Event()
    async with Endpoint() as endpoint:
        endpoint.conduct_of = lambda _: answers_when(go)
        held = await rows.a_notification(await rows.an_endpoint(endpoint), priority="low")
        async with working(postgres_url), working(postgres_url, clock=lambda: now() + off):
            await eventually(lambda: len(endpoint.requests) == 1)
            other = await rows.a_notification(await rows.an_endpoint(endpoint))
            await rows.announce()
            await eventually(lambda: len(endpoint.requests) == 2)
            go.set()
            await rows.until_settled()
    assert [request.id for request in endpoint.requests] == [held, other]


async def test_endpoints_are_told_that_one_of_them_is_gone(postgres_url: str, rows: Rows) -> None:
    async with Endpoint() as gone, Endpoint() as other, working(postgres_url):
        gone.conduct_of = lambda _: answers(410)
        target = await rows.an_endpoint(gone, name="pager")
        await rows.an_endpoint(other)
        await rows.a_notification(target)
        await rows.announce()
        await rows.until_settled()
    [told] = other.requests
    assert (told.verified, told.body["type"], told.body["data"]["endpoint"]) == (True, "endpoint.disabled", "pager")
    assert "pager answered 410" in told.body["data"]["what"]


async def test_a_dead_endpoint_is_probed_and_what_waited_goes_when_it_is_back(postgres_url: str, rows: Rows) -> None:
    async with Endpoint() as endpoint:
        endpoint.conduct_of = lambda _: answers(503)
        target = await rows.an_endpoint(endpoint)
        async with working(postgres_url) as one, working(postgres_url):
            for _ in range(30):
                await rows.a_notification(target, priority="low")
            await rows.announce()
            await until(rows.put_off_probes)
            tried = len(endpoint.requests)
            await rows.announce()
            await until(lambda: _open_circuits(one, 1))
            assert len(endpoint.requests) == tried < 30
            endpoint.conduct_of = lambda _: answers(204)
            await rows.pass_probes()
            await rows.hurry()
            await rows.announce()
            await rows.until_settled()
        assert await rows.pool.fetchval("SELECT opened_at IS NULL AND failures = 0 FROM circuit")


async def _open_circuits(worker: Working, count: int) -> bool:
    return worker.metrics.registry.get_sample_value("pumpwatch_open_circuits") == count


async def test_what_is_given_up_is_told_counted_and_kept(
    postgres_url: str, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    waits_s = dict.fromkeys(Priority, (0.0, 0.0))
    async with Endpoint() as endpoint, working(postgres_url, waits_s=waits_s) as worker:
        endpoint.conduct_of = lambda _: answers(500)
        notification = await rows.a_notification(await rows.an_endpoint(endpoint))
        await rows.announce()
        await rows.until_settled()
    assert [outcome for _, outcome, _ in await rows.attempts_of(notification)] == ["server_error"] * 3
    assert (await rows.of(notification))["state"] == "failed"
    assert "notification_given_up" in [record.message for record in caplog.records]
    assert worker.metrics.registry.get_sample_value("pumpwatch_given_up_total", {"priority": "high"}) == 1


async def test_a_body_that_cannot_be_written_is_not_sent_and_stops_nobody(postgres_url: str, rows: Rows) -> None:
    async with Endpoint() as endpoint, working(postgres_url):
        broken = await rows.an_endpoint(endpoint, format="pagerduty", routing_key="sealed:by another key")
        refused = await rows.a_notification(broken)
        sound = await rows.a_notification(await rows.an_endpoint(endpoint))
        await rows.announce()
        await until(lambda: _is(rows, sound, "delivered"))
        await until(lambda: rows.pool.fetchval("SELECT attempts > 0 FROM notification WHERE id = $1", refused))
    assert {outcome for _, outcome, _ in await rows.attempts_of(refused)} == {"not_sent"}
    assert {request.id for request in endpoint.requests} == {sound}


async def test_a_lane_is_filled_again_as_it_empties(postgres_url: str, rows: Rows) -> None:
    async with Endpoint() as endpoint:
        target = await rows.an_endpoint(endpoint)
        for _ in range(200):
            await rows.a_notification(target)
        async with working(postgres_url):
            await rows.until_settled(50)  # a lane a poll would take twice as long
        assert endpoint.most_at_once <= 4
        assert endpoint.connections <= 8


async def test_a_slow_endpoint_holds_up_only_itself_and_only_its_reports(postgres_url: str, rows: Rows) -> None:
    go = asyncio.Event()
    async with Endpoint() as slow, Endpoint() as quick, working(postgres_url):
        slow.conduct_of = lambda _: answers_when(go)
        slow_target, quick_target = await rows.an_endpoint(slow), await rows.an_endpoint(quick)
        for _ in range(20):
            await rows.a_notification(slow_target, priority="low")
        await rows.announce()
        await eventually(lambda: len(slow.requests) == 4)
        slow.conduct_of = lambda _: answers(204)
        for target in (slow_target, quick_target):
            page = await rows.a_notification(target)
            await rows.announce()
            await until(lambda page=page: _is(rows, page, "delivered"), 10)
        assert await rows.unsettled() == 20
        assert slow.most_at_once == 5
        go.set()
        await rows.until_settled()


async def test_a_worker_that_others_may_take_for_dead_breaks_off_what_it_has_under_way(
    postgres_url: str, rows: Rows, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise asyncpg.TooManyConnectionsError("sorry, too many clients already")

    async with Endpoint() as endpoint, working(postgres_url):
        endpoint.conducts.append(never_answers)
        notification = await rows.a_notification(await rows.an_endpoint(endpoint, answer_within_s=30))
        await rows.announce()
        await eventually(lambda: len(endpoint.requests) == 1)
        with monkeypatch.context() as patched:
            patched.setattr(workers.asyncpg, "connect", full)
            await rows.pool.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
                WHERE locktype = 'advisory' AND classid = $1 AND datname = current_database()
                """,
                workers.LOCK_CLASS,
            )
            await eventually(lambda: "requests_broken_off" in [record.message for record in caplog.records])
        await until(lambda: _is(rows, notification, "delivered"), 30)
    assert [request.id for request in endpoint.requests] == [notification] * 2


async def test_a_graceful_stop_finishes_what_is_under_way_and_begins_nothing(postgres_url: str, rows: Rows) -> None:
    go = asyncio.Event()
    async with Endpoint() as endpoint, working(postgres_url) as worker:
        endpoint.conducts.append(answers_when(go))
        target = await rows.an_endpoint(endpoint)
        under_way = await rows.a_notification(target)
        await rows.announce()
        await eventually(lambda: len(endpoint.requests) == 1)
        worker.stop.set()
        later = await rows.a_notification(target)
        await rows.announce()
        go.set()
        await worker.done
    assert (await rows.of(under_way))["state"] == "delivered"
    assert (await rows.of(later))["state"] == "pending"
    assert len(endpoint.requests) == 1


async def test_no_log_line_holds_a_secret_or_an_address(
    postgres_url: str, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Endpoint() as endpoint, working(postgres_url):
        endpoint.conducts.extend([answers(500), answers(302, location=endpoint.url)])
        arrives = await rows.a_notification(await rows.an_endpoint(endpoint))
        fails = await rows.a_notification(await rows.an_endpoint(url="http://127.0.0.1:9/path-secret"), priority="low")
        await until(lambda: _is(rows, arrives, "delivered"))
        await until(lambda: rows.pool.fetchval("SELECT attempts > 0 FROM notification WHERE id = $1", fails))
    events = [record.message for record in caplog.records if record.name.startswith("pumpwatch")]
    assert events.count("attempt_failed") >= 3
    assert events.count("notification_delivered") == 1
    shown = [str(record.__dict__) for record in caplog.records if record.name.startswith("pumpwatch")]
    assert not [line for line in shown if "path-secret" in line or endpoint.secret in line]
