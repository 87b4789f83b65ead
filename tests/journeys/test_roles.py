"""A role ends when it is told to, whoever is away; while database or broker are away, nothing is taken for stored."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from service.embedded.child import free_port
from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate
from service.settings import inherited_environment
from tests.benchmarks.processes import ended, started
from tests.failures.broker import unsettled
from tests.loops.driven import telemetry
from tests.mqtt.publisher import Message, publish
from tests.patience import until, until_found, until_true
from tests.test_supervise import answers, up

ROLES = ("ingest", "watch", "deliver", "api")
ENDS_WITHIN_S = 60.0
NOBODY = "127.0.0.1:1"


@asynccontextmanager
async def roles(directory: Path, database_url: str, broker_url: str) -> AsyncIterator[dict[str, Process]]:
    """Each role as a process of its own, without a supervisor."""
    environment = inherited_environment() | {
        "PUMPWATCH_DATABASE_URL": database_url,
        "PUMPWATCH_BROKER_URL": broker_url,
        "PUMPWATCH_API_PORT": str(free_port()),
    }
    async with AsyncExitStack() as stack:
        children = {}
        for role in ROLES:
            command = [sys.executable, "-m", "service", "run", role]
            child = await started(command, environment=environment, log=directory / f"{role}.log")
            children[role] = await stack.enter_async_context(ended(child))
        yield children


async def end_all(children: dict[str, Process]) -> dict[str, int]:
    for role, child in children.items():
        await until_true(lambda pid=child.pid: catches_sigterm(pid), f"{role} to have begun")
        child.terminate()
    codes = await until(
        asyncio.gather(*(child.wait() for child in children.values())), "the roles to end", ENDS_WITHIN_S
    )
    return dict(zip(children, codes, strict=True))


def catches_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> signal.SIGTERM - 1 & 1)


def logs(directory: Path) -> str:
    return "".join((directory / f"{role}.log").read_text(encoding="utf-8") for role in ROLES)


def messages(first_seq: int, count: int) -> list[Message]:
    return [
        (b"pumps/v1/outage/telemetry", json.dumps(telemetry(seq, [1.0])).encode())
        for seq in range(first_seq, first_seq + count)
    ]


async def readings(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM reading"))
    finally:
        await connection.close()


async def test_every_role_ends_at_sigterm_with_code_0(postgres_url: str, nats_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(postgres_url)
    async with roles(tmp_path, postgres_url, nats_url) as children:
        await until_found(
            lambda: connection.fetchval("SELECT count(*) >= 3 AND bool_and(ready) FROM role_heartbeat"), "the roles"
        )
        await connection.close()
        assert await end_all(children) == dict.fromkeys(ROLES, 0)
    assert "Traceback" not in logs(tmp_path)


async def test_every_role_ends_at_sigterm_also_while_nobody_answers_it(tmp_path: Path) -> None:
    async with roles(tmp_path, f"postgresql://nobody@{NOBODY}/none", f"mqtt://{NOBODY}") as children:
        for role in ("ingest", "watch"):  # they have begun to wait
            log = tmp_path / f"{role}.log"
            await until_true(lambda log=log: "database_unreachable" in log.read_text(encoding="utf-8"), role)
        assert await end_all(children) == dict.fromkeys(ROLES, 0)
    assert "Traceback" not in logs(tmp_path)


@pytest.fixture
async def database_url(postgres_server: PostgresServer) -> str:
    await migrate(postgres_server.url())
    return postgres_server.url()


async def test_every_role_ends_at_sigterm_when_the_database_has_gone_away_meanwhile(
    database_url: str, postgres_server: PostgresServer, nats_url: str, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(database_url)
    async with roles(tmp_path, database_url, nats_url) as children:
        await until_found(
            lambda: connection.fetchval("SELECT count(*) >= 3 AND bool_and(ready) FROM role_heartbeat"), "the roles"
        )
        await connection.close()
        postgres_server.kill()
        assert await end_all(children) == dict.fromkeys(ROLES, 0)
    assert "Traceback" not in logs(tmp_path)


async def test_while_the_database_is_away_nothing_is_settled_and_all_of_it_is_stored_when_it_is_back(
    database_url: str, postgres_server: PostgresServer, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with up(database_url, nats_server.mqtt_url, tmp_path) as service:
        await service.line("ready")
        await publish(nats_server.mqtt_url, messages(0, 20))
        await until_true(lambda: unsettled(nats_server) == 0, "everything to be settled")
        postgres_server.kill()
        away = await answers(lambda answer: answer.status_code == 503, service)
        assert "database" in away.text
        await publish(nats_server.mqtt_url, messages(20, 30))
        away = await answers(lambda answer: answer.status_code == 503, service)
        await until_true(lambda: unsettled(nats_server) == 30, "all of it to be there, and none settled")
        postgres_server.start()
        assert (await answers(lambda answer: answer.is_success, service)).json() == {"ready": True, "reasons": []}
        await until_true(lambda: unsettled(nats_server) == 0, "the rest to be settled")
        assert await readings(database_url) == 50
        assert len(service.everybody()) == len(ROLES), "nobody had to be started again"
        assert "Traceback" not in service.log


async def test_while_the_broker_is_away_ready_says_so_and_it_is_heard_again_when_it_is_back(
    postgres_url: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with up(postgres_url, nats_server.mqtt_url, tmp_path) as service:
        await service.line("ready")
        nats_server.kill()
        away = await answers(lambda answer: answer.status_code == 503, service)
        assert any("broker" in reason for reason in away.json()["reasons"])
        nats_server.start()
        await answers(lambda answer: answer.is_success, service)
        await publish(nats_server.mqtt_url, messages(0, 10))
        await until_true(lambda: unsettled(nats_server) == 0, "everything to be settled")
        assert await readings(postgres_url) == 10
        async with httpx.AsyncClient(base_url=service.api_url, timeout=60) as client:
            assert (await client.get("/live")).is_success
        assert len(service.everybody()) == len(ROLES)
        assert "Traceback" not in service.log
