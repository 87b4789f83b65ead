"""The API as its callers meet it: uvicorn on a port, a database behind it, and a client for each role."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from service.api.app import create_app
from service.api.server import listen, serve
from service.core.rulebook import DEFAULT_RULEBOOK
from service.metrics import Metrics
from service.postgres.accounts import Role, create_token
from service.postgres.alerts import AlertStore
from service.settings import load

NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)


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

    async def rows(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        return await self.database.fetch(sql, *arguments)


@asynccontextmanager
async def running(database_url: str, **settings: object) -> AsyncIterator[Api]:
    """Serve the app on a free port until the block ends."""
    async with AsyncExitStack() as stack:
        pool = asyncpg.create_pool(database_url, min_size=0, max_size=5, timeout=2, command_timeout=10)
        await stack.enter_async_context(pool)
        clock = FixedClock()
        configured = load({}, required=[], database_url=database_url, broker_url="mqtt://127.0.0.1:1883", **settings)
        app = create_app(pool, configured, Metrics(CollectorRegistry()), clock, AlertStore(DEFAULT_RULEBOOK))
        listening = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        serving = asyncio.create_task(serve(app, listening))
        stack.push_async_callback(_end, serving)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url))
        yield Api(app, url, clock, client)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def staffed(database_url: str) -> AsyncIterator[Ward]:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(running(database_url))
        database = await asyncpg.connect(database_url)
        stack.push_async_callback(database.close)
        tokens = {role: await create_token(database, f"the-{role}", role, "test") for role in Role}
        clients = {
            role: await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"{api.url}/api/v1", headers={"Authorization": f"Bearer {token}"})
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


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float = 30.0) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - what is waited for is on the other side of a socket
            await asyncio.sleep(0.02)
