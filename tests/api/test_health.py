"""Whether the service is watching, and what it says when it is not."""

import asyncio
from datetime import timedelta
from pathlib import Path

import asyncpg
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from service.embedded.postgres import PostgresServer
from service.postgres.accounts import Role, create_token
from service.postgres.migrate import migrate
from tests.api.ward import Api, Ward, eventually, problem, running

HEARTBEAT = (
    "INSERT INTO role_heartbeat VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT (role, instance) DO UPDATE SET at = $3, ready = $4, reason = $5"
)
SHARD = (
    "INSERT INTO shard (shard, marker_at, reason) VALUES ($1, $2, $3) "
    "ON CONFLICT (shard) DO UPDATE SET marker_at = $2, reason = $3"
)


async def reasons(api: Api) -> list[str]:
    answer = await api.client.get("/ready")
    body = answer.json()
    assert answer.status_code == (200 if body["ready"] else 503)
    assert body["ready"] is (body["reasons"] == [])
    return body["reasons"]


async def beat(ward: Ward, role: str, reason: str = "", ago_s: float = 1, instance: str = "1") -> None:
    await ward.rows(HEARTBEAT, role, instance, ward.clock.now - timedelta(seconds=ago_s), not reason, reason)


async def marker(ward: Ward, shard: int, ago_s: float | None, reason: str = "") -> None:
    await ward.rows(SHARD, shard, None if ago_s is None else ward.clock.now - timedelta(seconds=ago_s), reason)


async def test_ready_means_every_shard_caught_up_and_every_role_alive_and_well(ward: Ward) -> None:
    assert await reasons(ward) == [
        "no shard has an ingester",
        "ingest is not running: its last heartbeat never came",
        "watch is not running: its last heartbeat never came",
        "deliver is not running: its last heartbeat never came",
    ]
    for role in ("ingest", "watch", "deliver"):
        await beat(ward, role)
    await marker(ward, 0, 1)
    assert await reasons(ward) == []

    await marker(ward, 0, 15)
    await marker(ward, 1, None, "not connected: connection refused")
    await beat(ward, "watch", ago_s=10)
    await beat(ward, "deliver", "the outbox is not reachable")
    assert await reasons(ward) == [
        "shard 0 is not caught up: its last marker was 15 s ago",
        "shard 1 is not caught up: not connected: connection refused",
        "watch is not running: its last heartbeat was 10 s ago",
        "deliver is not ready: the outbox is not reachable",
    ]


async def test_a_process_that_is_gone_does_not_speak_for_the_one_that_took_over(ward: Ward) -> None:
    await marker(ward, 0, 1)
    for role in ("ingest", "watch", "deliver"):
        await beat(ward, role, "ended in an error", ago_s=600, instance="old")
        await beat(ward, role, instance="new")
    assert await reasons(ward) == []


async def test_strangers_who_ask_without_end_take_one_connection(ward: Ward) -> None:
    async def connections() -> int:
        return len(await ward.rows("SELECT FROM pg_stat_activity WHERE datname = current_database()"))

    before = await connections()
    await asyncio.gather(*(ward.client.get("/ready") for _ in range(200)))
    assert await connections() <= before + 1


async def test_a_schema_of_another_version_is_told(empty_postgres_url: str) -> None:
    async with running(empty_postgres_url) as api:
        assert "pumpwatch migrate" in (await reasons(api))[0]
        answer = await api.client.get("/api/v1/pumps", headers={"Authorization": "Bearer x"})
        assert "pumpwatch migrate" in problem(answer, 503)["detail"]
        await migrate(empty_postgres_url)
        assert (await reasons(api))[0] == "no shard has an ingester"
        connection = await asyncpg.connect(empty_postgres_url)
        await connection.execute("INSERT INTO migration VALUES (9999, '9999_later.sql', '')")
        await connection.close()
        assert "9999_later.sql, newer than this version" in (await reasons(api))[0]


async def test_the_api_outlives_its_database_and_recovers_by_itself(postgres_server: PostgresServer) -> None:
    url = postgres_server.url()
    await migrate(url)
    connection = await asyncpg.connect(url)
    token = await create_token(connection, "viewer", Role.VIEWER, "test")
    await connection.close()
    postgres_server.stop()

    async with running(url) as api:
        api.client.headers["Authorization"] = f"Bearer {token}"

        async def answers() -> bool:
            return (await api.client.get("/api/v1/pumps")).status_code == 200

        for end in (lambda: None, postgres_server.kill, postgres_server.stop):
            end()
            assert (await api.client.get("/live")).status_code == 200
            [reason] = await reasons(api)
            assert reason.startswith("database: unreachable")
            for path in ("pumps", "pumps/p1/readings", "alerts", "quarantine"):
                answer = await api.client.get(f"/api/v1/{path}")
                assert str(problem(answer, 503)["detail"]).startswith("database: unreachable")
                assert answer.headers["retry-after"]
            assert (await api.client.get("/metrics")).status_code == 200
            postgres_server.start()
            await eventually(answers)
            assert not any("database" in reason for reason in await reasons(api))


async def test_a_wrong_password_is_told_without_the_address(postgres_server: PostgresServer) -> None:
    wrong = postgres_server.url().replace("://postgres:", "://postgres:wrong")
    async with running(wrong) as api:
        assert await reasons(api) == ["database: it refuses our user or password"]


async def test_metrics_are_those_of_every_process_that_shares_the_directory(postgres_url: str, tmp_path: Path) -> None:
    # What another process left there, in the client library's own format.
    left = MmapedDict(str(tmp_path / "counter_4711.db"))
    left.write_value(mmap_key("pumpwatch_messages", "pumpwatch_messages_total", [], [], "Messages."), 41.0, 0.0)
    left.close()
    async with running(postgres_url, metrics_dir=tmp_path) as api:
        text = (await api.client.get("/metrics")).text
    assert "pumpwatch_messages_total 41.0" in text
    assert "pumpwatch_api_requests" not in text  # this process was started without sharing
