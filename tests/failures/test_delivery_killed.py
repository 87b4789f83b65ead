"""Workers and a database are killed while notifications are on their way: none is lost or changes its id or turn."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate
from tests.loops.worker import working
from tests.servers import eventually
from tests.webhooks.endpoint import Conduct, Endpoint, Request, answers, answers_when, never_answers
from tests.webhooks.rows import Rows, until

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def rows(postgres_url: str) -> AsyncIterator[Rows]:
    async with asyncpg.create_pool(postgres_url, min_size=1, max_size=4) as pool:
        yield Rows(pool)


@asynccontextmanager
async def a_worker_process(database_url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.loops.worker", database_url, cwd=ROOT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_worker_killed_between_post_and_record_means_a_second_request_with_the_same_id(
    postgres_url: str, rows: Rows
) -> None:
    async with Endpoint() as endpoint:
        notification = await rows.a_notification(await rows.an_endpoint(endpoint))
        async with rows.pool.acquire() as connection:
            # Whoever wants to record must wait for this lock; so the kill falls after the answer, before the commit.
            endpoint.conducts.append(_locking(connection, notification))
            async with a_worker_process(postgres_url) as worker:
                await until(lambda: _waits_for_a_lock(rows))
                worker.kill()
                await worker.wait()
            await _end_what_waits(rows)
            await connection.execute("ROLLBACK")
        assert endpoint.answered == endpoint.requests
        assert await rows.attempts_of(notification) == []
        await rows.pass_leases()
        async with working(postgres_url):
            await rows.until_settled()
    assert [(request.id, request.verified) for request in endpoint.requests] == [(notification, True)] * 2
    assert await rows.attempts_of(notification) == [(1, "delivered", 204)]


def _locking(connection: asyncpg.Connection, notification: str) -> Conduct:
    """Take the notification's row before answering 204."""

    async def conduct(request: Request, writer: asyncio.StreamWriter) -> bool:
        await connection.execute("BEGIN")
        await connection.execute("SELECT FROM notification WHERE id = $1 FOR UPDATE", notification)
        return await answers(204)(request, writer)

    return conduct


_WAITING = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def _waits_for_a_lock(rows: Rows) -> bool:
    return bool(await rows.pool.fetchval(f"SELECT count(*) {_WAITING}"))


async def _end_what_waits(rows: Rows) -> None:
    await rows.pool.fetch(f"SELECT pg_terminate_backend(pid, 10000) {_WAITING}")


async def test_what_a_killed_worker_had_under_way_does_not_wait_for_the_end_of_its_lease(
    postgres_url: str, rows: Rows
) -> None:
    async with Endpoint() as endpoint:
        endpoint.conducts.append(never_answers)
        target = await rows.an_endpoint(endpoint, answer_within_s=30)
        async with a_worker_process(postgres_url) as worker:
            notification = await rows.a_notification(target)
            await rows.announce()
            await eventually(lambda: len(endpoint.requests) == 1, 30)
            async with working(postgres_url):
                worker.kill()
                await until(lambda: _is_delivered(rows, notification), 30)
                assert (await rows.of(notification))["lease_until"] is None
    assert [request.id for request in endpoint.requests] == [notification] * 2


async def _is_delivered(rows: Rows, notification: str) -> bool:
    return bool((await rows.of(notification))["state"] == "delivered")


async def test_workers_killed_at_random_lose_nothing_and_keep_the_order(postgres_url: str, rows: Rows) -> None:
    alerts = 60
    async with Endpoint() as endpoint:
        seen: set[str] = set()

        def fail_every_third_at_first(request: Request) -> Conduct:
            again = request.id in seen
            seen.add(request.id)
            return answers(204) if again or len(seen) % 3 else answers(500)

        endpoint.conduct_of = fail_every_third_at_first
        target = await rows.an_endpoint(endpoint)
        for _ in range(alerts):
            alert = await rows.an_alert()
            await rows.a_notification(target, alert, number=2, kind="resolved")
            await rows.a_notification(target, alert, number=1)
        for kills in range(1, 4):
            async with a_worker_process(postgres_url) as worker, a_worker_process(postgres_url):
                await eventually(lambda goal=kills * 12: len(endpoint.answered) >= goal, 60)
                worker.kill()  # the other one is killed on leaving
            await rows.pass_leases()
        async with working(postgres_url), working(postgres_url):
            await rows.until_settled(hurry=True)
    assert {request.id for request in endpoint.answered} == set(rows.ids)
    assert all(request.verified for request in endpoint.requests)
    kinds = defaultdict(list)
    for request in endpoint.requests:
        kinds[request.body["data"]["alert_id"]].append(request.body["type"])
    assert len(kinds) == alerts
    for told in kinds.values():
        assert told == sorted(told), "every request for activated comes before any for resolved"
    assert await rows.pool.fetchval("SELECT count(*) FROM notification WHERE state = 'delivered'") == 2 * alerts


async def test_a_database_that_is_killed_meanwhile_loses_no_outcome(postgres_server: PostgresServer) -> None:
    url = postgres_server.url()
    await migrate(url)
    go = asyncio.Event()
    async with Endpoint() as endpoint, working(url):
        endpoint.conducts.append(answers_when(go))
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            notification = await Rows(pool).a_notification(await Rows(pool).an_endpoint(endpoint))
        await eventually(lambda: len(endpoint.requests) == 1)
        await asyncio.to_thread(postgres_server.kill)
        go.set()
        await eventually(lambda: len(endpoint.answered) == 1)
        await asyncio.to_thread(postgres_server.start)
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            await Rows(pool).until_settled()
            assert await Rows(pool).attempts_of(notification) == [(1, "delivered", 200)]
    assert len(endpoint.requests) == 1
