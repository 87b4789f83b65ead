"""Each part of the service with a database user of its own: enough for its work, and for nobody else's."""

import json
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest

from service.embedded.child import free_port
from service.postgres.accounts import Role, create_token
from service.postgres.partitions import drop_before, is_plain, make_ahead
from service.postgres.readings import copy_in, instant
from service.settings import inherited_environment
from tests.benchmarks.processes import ended, started
from tests.keys import ENVIRONMENT
from tests.loops.driven import telemetry
from tests.mqtt.publisher import publish
from tests.patience import until_found
from tests.pumps import MINUTE_MS, NOON_MS, readings
from tests.servers import database_url

ROOT = Path(__file__).parents[2]
ROLES, GRAFANA = (ROOT / "deploy" / name for name in ("postgres/roles.sql", "grafana/role.sql"))
PARTS = ("ingest", "watch", "deliver", "api")
PASSWORD = "not-a-secret-at-all"
RESET = {
    "boot": 1,
    "seq": 5,
    "time_ms": NOON_MS + 5 * MINUTE_MS,
    "type": "device_alarm_raised",
    "code": "battery_reset",
    "held_from": [1, 0],
    "simulated": True,
}


@pytest.fixture
async def users(postgres_url: str, connection: asyncpg.Connection) -> dict[str, str]:
    """The URL of each user, in a database with the roles that the product delivers; twice, as after an upgrade."""
    for _ in range(2):
        await connection.execute(ROLES.read_text())
        await connection.execute(GRAFANA.read_text())
    found = {}
    for user in (*PARTS, "grafana"):
        await connection.execute(f"ALTER ROLE pumpwatch_{user} PASSWORD '{PASSWORD}'")
        parts = urlsplit(postgres_url)
        netloc = f"pumpwatch_{user}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"
        found[user] = urlunsplit(parts._replace(netloc=netloc))
    return found


@asynccontextmanager
async def parts(directory: Path, users: dict[str, str], broker_url: str, port: int) -> AsyncIterator[list[Process]]:
    common = inherited_environment() | ENVIRONMENT
    common |= {"PUMPWATCH_BROKER_URL": broker_url, "PUMPWATCH_API_PORT": str(port), "PUMPWATCH_CANARY_EVERY_S": "5"}
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                ended(
                    await started(
                        [sys.executable, "-m", "service", "run", part],
                        environment=common | {"PUMPWATCH_DATABASE_URL": users[part]},
                        log=directory / f"{part}.log",
                    )
                )
            )
            for part in PARTS
        ]


async def test_a_message_goes_all_the_way_with_each_part_under_a_user_of_its_own(
    users: dict[str, str], connection: asyncpg.Connection, nats_url: str, tmp_path: Path
) -> None:
    """From the broker to the store, to an alert, to a webhook, to the API: the canary's way, and a pump's beside it."""
    token = await create_token(connection, "ada", Role.ADMINISTRATOR, "test")
    port = free_port()
    async with parts(tmp_path, users, nats_url, port):

        async def arrived() -> int:
            found = await connection.fetchval("SELECT count(*) FROM canary_round WHERE arrived_at IS NOT NULL")
            assert isinstance(found, int)
            return found

        await until_found(arrived, "a fault of the canary to arrive at its webhook")
        await publish(
            nats_url,
            [
                (b"pumps/v1/own-user/telemetry", json.dumps(telemetry(0, [1.0] * 5)).encode()),
                (b"pumps/v1/own-user/event", json.dumps(RESET).encode()),
            ],
        )
        url, headers = f"http://127.0.0.1:{port}/api/v1", {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as api:

            async def stored() -> int:
                answer = await api.get("/pumps/own-user/readings", params={"from": instant(NOON_MS).isoformat()})
                return len(answer.json()["columns"]["measured_at"]) if answer.is_success else 0

            assert await until_found(stored, "the pump's readings in the API") == 5
            for path in (
                "/pumps",
                "/alerts",
                "/fleet/latest",
                "/fleet/statistics",
                "/endpoints",
                "/quarantine",
                "/audit",
                "/rules",
                "/sites",
            ):
                answer = await api.get(path)
                assert answer.status_code == 200, (path, answer.text)
            made = await api.post("/endpoints", json={"name": "ward", "url": "https://ward.example/hook"})
            assert made.status_code == 201, made.text

            async def alerts() -> list[dict[str, Any]]:
                items = (await api.get("/alerts")).json()["items"]
                return [each for each in items if each["condition"] == "battery_reset"]

            (alert,) = await until_found(alerts, "the alert that its event raises")
            answer = await api.post(f"/alerts/{alert['id']}/acknowledge", json={"note": "seen"})
            assert answer.status_code == 200, answer.text
    logs = "".join((tmp_path / f"{part}.log").read_text() for part in PARTS)
    assert "permission denied" not in logs, [line for line in logs.splitlines() if "permission denied" in line]


FORBIDDEN = {
    "ingest": [
        "SELECT secret FROM endpoint",
        "SELECT * FROM account",
        "SELECT * FROM token",
        "INSERT INTO token DEFAULT VALUES",
        "UPDATE endpoint SET enabled = false",
        "INSERT INTO attempt DEFAULT VALUES",
        "SELECT * FROM session",
        "UPDATE rule_override SET value = '0'",
        "DELETE FROM pump",
    ],
    "watch": [
        "SELECT * FROM account",
        "SELECT * FROM token",
        "SELECT * FROM session",
        "DELETE FROM alert",
        "DELETE FROM notification",
        "UPDATE rule_override SET value = '0'",
        "INSERT INTO pump_latest (pump) VALUES (1)",
    ],
    "deliver": [
        "SELECT * FROM reading",
        "SELECT * FROM pump",
        "SELECT * FROM account",
        "UPDATE alert SET state = 'resolved'",
        "INSERT INTO event DEFAULT VALUES",
        "DELETE FROM notification",
        "DELETE FROM endpoint",
    ],
    "api": [
        "DELETE FROM stored_reading",
        "UPDATE stored_reading SET battery_mv = 0",
        "INSERT INTO stored_reading DEFAULT VALUES",
        "DELETE FROM alert",
        "DELETE FROM pump",
        "DELETE FROM event",
        "UPDATE shard SET epoch = epoch + 1 WHERE false; DELETE FROM shard",
        "DELETE FROM attempt",
        "DROP TABLE stored_reading",
    ],
    "grafana": [
        "SELECT * FROM account",
        "SELECT * FROM token",
        "SELECT * FROM session",
        "SELECT url FROM endpoint",
        "SELECT secret FROM endpoint",
        "SELECT * FROM former_secret",
        "SELECT head FROM quarantine",
        "SELECT note FROM alert_history",
        "SELECT * FROM audit",
        "SELECT * FROM stored_reading",
        "UPDATE alert SET state = 'resolved'",
        "UPDATE pump SET site = NULL",
    ],
}
FOR_NOBODY = [
    "UPDATE alert_history SET note = ''",
    "DELETE FROM alert_history",
    "TRUNCATE alert_history",
    "UPDATE audit SET actor = 'nobody'",
    "DELETE FROM audit",
    "DELETE FROM history_root",
    "DELETE FROM migration",
    "CREATE TABLE mine (x integer)",
    "CREATE ROLE mine",
    "COPY pump TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
]


@pytest.mark.parametrize("user", FORBIDDEN)
async def test_no_user_may_do_the_work_of_another(users: dict[str, str], user: str) -> None:
    allowed = []
    keeps = {"CREATE TABLE mine (x integer)"} if user in {"ingest", "watch"} else set()  # partitions are tables
    as_user = await asyncpg.connect(users[user])
    for statement in [*FORBIDDEN[user], *FOR_NOBODY]:
        if statement in keeps:
            continue
        transaction = as_user.transaction()
        await transaction.start()
        try:
            await as_user.execute("SET LOCAL transaction_read_only = off")
            await as_user.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            pass
        else:
            allowed.append(statement)
        finally:
            await transaction.rollback()
    await as_user.close()
    assert allowed == []


async def test_history_and_audit_are_only_added_to_even_by_the_owner(
    users: dict[str, str], connection: asyncpg.Connection
) -> None:
    for statement in FOR_NOBODY[:6]:
        if "migration" not in statement:
            with pytest.raises(asyncpg.PostgresError, match="only ever added to"):
                await connection.execute(statement)


async def test_every_table_is_thought_of(connection: asyncpg.Connection) -> None:
    """Whoever adds a table says in deploy/postgres/roles.sql who needs it."""
    rows = await connection.fetch(
        """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
           AND NOT relispartition"""
    )
    told = set(ROLES.read_text().replace(",", " ").replace("(", " ").split())
    assert {row["relname"] for row in rows} - told - {"reading_before"} == set()


async def test_partitions_are_made_and_dropped_by_who_keeps_them(
    users: dict[str, str], connection: asyncpg.Connection
) -> None:
    then = datetime.now(UTC) + timedelta(days=30)
    ahead = then.date()
    keeper, ingest = await asyncpg.connect(users["watch"]), await asyncpg.connect(users["ingest"])
    made = await make_ahead(keeper, ahead, ahead + timedelta(days=1), timedelta(days=1))
    assert len(made) == (2 if await is_plain(connection) else 0), "TimescaleDB makes its chunks itself"
    await connection.execute("INSERT INTO pump (pump_id) VALUES ('kept')")
    await copy_in(ingest, readings(1, pump=1, start_ms=int(then.timestamp() * 1000)))
    assert len(await drop_before(keeper, ahead + timedelta(days=1))) >= 1
    await keeper.close()
    await ingest.close()
    assert await connection.fetchval("SELECT count(*) FROM reading") == 0


async def test_a_user_of_one_database_sees_nothing_of_another(users: dict[str, str], control_url: str) -> None:
    other = urlsplit(database_url(users["api"], urlsplit(control_url).path.lstrip("/")))
    connection = await asyncpg.connect(urlunsplit(other))
    with pytest.raises(asyncpg.PostgresError):
        await connection.fetch("SELECT * FROM pump")
    await connection.close()
