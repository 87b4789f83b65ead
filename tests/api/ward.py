"""The API as its callers meet it: uvicorn on a port, a database behind it, and a client for each role."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from service.api.app import create_app
from service.api.server import listen, serve
from service.core.change import Change, Condition, Turn
from service.core.reading import position_of
from service.core.rulebook import DEFAULT_RULEBOOK
from service.metrics import Metrics
from service.postgres.accounts import Role, create_token
from service.postgres.alerts import AlertStore
from service.settings import load
from tests.episodes import usual_step
from tests.keys import KEY, LOOPBACK_ALLOWED

TLS = ssl.create_default_context()  # once: each client would read every certificate of the machine anew
NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)
PATIENCE_S = 120.0  # on a machine that is shared


@dataclass
class FixedClock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Api:
    app: FastAPI
    url: str
    clock: FixedClock
    client: httpx.AsyncClient
    """Without a token."""


@dataclass
class Ward(Api):
    """An API with its database, and somebody of each role."""

    database: asyncpg.Connection
    viewer: httpx.AsyncClient
    clinician: httpx.AsyncClient
    administrator: httpx.AsyncClient
    tokens: dict[Role, str]
    alert_store: AlertStore

    async def rows(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        return await self.database.fetch(sql, *arguments)


@asynccontextmanager
async def running(
    database_url: str, *, elapsed_s: Callable[[], float] = time.monotonic, **settings: object
) -> AsyncIterator[Api]:
    """Serve the app on a free port until the block ends."""
    async with AsyncExitStack() as stack:
        pool = asyncpg.create_pool(database_url, min_size=0, max_size=5, timeout=PATIENCE_S, command_timeout=PATIENCE_S)
        await stack.enter_async_context(pool)
        clock = FixedClock()
        configured = load(
            {},
            required=[],
            **{
                "database_url": database_url,
                "broker_url": "mqtt://127.0.0.1:1883",
                "secret_key": KEY,
                "webhook_allow": LOOPBACK_ALLOWED,
                **settings,
            },
        )
        app = create_app(
            pool, configured, Metrics(CollectorRegistry()), clock, AlertStore(DEFAULT_RULEBOOK), elapsed_s=elapsed_s
        )
        listening = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        serving = asyncio.create_task(serve(app, listening))
        stack.push_async_callback(_end, serving)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, verify=TLS, timeout=PATIENCE_S))
        yield Api(app, url, clock, client)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def staffed(
    database_url: str, *, elapsed_s: Callable[[], float] = time.monotonic, **settings: object
) -> AsyncIterator[Ward]:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(running(database_url, elapsed_s=elapsed_s, **settings))
        database = await asyncpg.connect(database_url)
        stack.push_async_callback(database.close)
        tokens = {role: await create_token(database, f"the-{role}", role, "test") for role in Role}
        clients = {
            role: await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=f"{api.url}/api/v1",
                    headers={"Authorization": f"Bearer {token}"},
                    verify=TLS,
                    timeout=PATIENCE_S,
                )
            )
            for role, token in tokens.items()
        }
        yield Ward(
            **vars(api),
            database=database,
            viewer=clients[Role.VIEWER],
            clinician=clients[Role.CLINICIAN],
            administrator=clients[Role.ADMINISTRATOR],
            tokens=tokens,
            alert_store=AlertStore(DEFAULT_RULEBOOK),
        )


def problem(response: httpx.Response, status: int) -> dict[str, object]:
    """The problem that a response is, after checking that it has the form of one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float = PATIENCE_S) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - what is waited for is on the other side of a socket
            await asyncio.sleep(0.02)


ENTRY: dict[str, Any] = {
    "site": "north",
    "time_zone": "Europe/Zurich",
    "model": "sensor-20",
    "flow_channel": "sensor",
    "reservoir_channel": "computed",
    "capacity_ml": 20.3,
    "drug": "baclofen",
    "drug_class": "baclofen",
    "concentration_ug_ml": 500.0,
    "interval_s": 60.0,
    "next_refill_on": "2026-12-31",
    "in_service": True,
    "simulated": False,
    "bolus_daily_cap_ul": 300.3,
    "implanted_on": "2023-05-17",
}


async def enter(ward: Ward, *pump_ids: str, **fields: object) -> dict[str, int]:
    """Enter pumps in the registry; their keys."""
    for pump_id in pump_ids:
        answer = await ward.administrator.put(f"/pumps/{pump_id}", json=ENTRY | fields)
        assert answer.is_success, answer.text
    return {row["pump_id"]: row["pump"] for row in await ward.rows("SELECT pump_id, pump FROM pump")}


async def hear(ward: Ward, pump: int, heard_s_ago: float = 10.0) -> None:
    """Write what the ingester flushes: the pump was heard."""
    at = ward.clock.now - timedelta(seconds=heard_s_ago)
    await ward.rows(
        "INSERT INTO pump_latest VALUES ($1, $2, $2, $3, 0.5, 0.497, 17.93, 2.91, 0) "
        "ON CONFLICT (pump) DO UPDATE SET received_at = $2, measured_at = $2",
        pump,
        at,
        position_of(7, 18042),
    )


def turn(pump: int, condition: Condition, what: Turn = Turn.BEGAN, position: int = position_of(7, 18042)) -> Change:
    ms = int(NOW.timestamp() * 1000)
    return Change(
        pump, condition, what, usual_step(condition), position, ms, ms - 60_000, ms, evidence={"missed_ul": 10.5}
    )


async def raise_alert(ward: Ward, change: Change) -> str:
    """Let the rules have found something; the alert's id."""
    async with ward.database.transaction():
        written = await ward.alert_store.apply(ward.database, [change], ward.clock())
    return str(written[-1].alert_id)
