"""How fast does the API answer beside a busy ingester, what does an answer cost, and can many follow the stream?

Requests are sent at their time, whether those before are answered or not: who waits behind another counts the wait.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from socket import socket
from typing import NamedTuple, Self

import asyncpg
import numpy as np

from service.embedded.child import free_port
from service.postgres.accounts import Role, create_token
from service.settings import inherited_environment
from tests.benchmarks import load
from tests.benchmarks.board import SHOWN, filled
from tests.benchmarks.ground import NATS, Ground
from tests.benchmarks.processes import cpu_s, ended, started
from tests.benchmarks.roles import running
from tests.keys import ENVIRONMENT
from tests.patience import until_true

PUMPS = 10_000
RATES = {"api.p99_ms": 50.0, "api.p99_at_100_ms": 100.0}
"""Requests a second. With the second, broker, publisher, ingester and database leave the API no processor to spare."""
CONNECTIONS = 16
FOLLOWERS = 500
SETTLE_IN_S = 10.0
"""Until each pump has been heard once, which costs more than what follows."""
PATIENCE_S = 120.0
# What people and pages ask, as often as it stands here.
PATHS = (
    "/pumps?limit=50",
    "/pumps?limit=50&sort=empty",
    "/alerts?limit=50",
    "/fleet/latest?limit=100",
    "/fleet/statistics",
    "/pumps/{pump_id}",
    "/pumps/{pump_id}/series?points=500",
    "/pumps/{pump_id}/series?points=500",
    "/pumps/{pump_id}/events",
    "/sites",
)
# One pump's alert, as the ingester would change it: the trigger on `alert` writes the same.
_CHANGE = """
INSERT INTO change (kind, pump_id, site, body) SELECT 'alert', $1, NULL, jsonb_build_object('number', $2::integer)
"""


class Api(NamedTuple):
    port: int
    pid: int
    token: str


@asynccontextmanager
async def answering(database_url: str, directory: Path) -> AsyncIterator[Api]:
    """The role `api` in a process of its own, and a token for it."""
    port = free_port()
    environment = inherited_environment() | ENVIRONMENT | {
        "PUMPWATCH_DATABASE_URL": database_url,
        "PUMPWATCH_API_PORT": str(port),
        "PUMPWATCH_BROKER_URL": "mqtt://127.0.0.1:1",
        "PUMPWATCH_LOG_LEVEL": "warning",
    }  # fmt: skip
    connection = await asyncpg.connect(database_url)
    try:
        token = await create_token(connection, f"bench-{port}", Role.VIEWER, "bench")
    finally:
        await connection.close()
    child = await started(
        [sys.executable, "-m", "service", "run", "api"], environment=environment, log=directory / "api.log"
    )
    async with ended(child):
        api = Api(port, child.pid, token)
        await until_true(lambda: _listens(port), "the API to answer")
        yield api


def _listens(port: int) -> bool:
    with socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


class Line:
    """One connection that is kept, and asked one thing after the other."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._api.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, path: str) -> None:
        """Raises ValueError for any answer but 200."""
        self._writer.write(
            f"GET /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._api.token}\r\n\r\n".encode()
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise ValueError(f"{path}: {head.decode()}")
        if b"transfer-encoding: chunked" in head:
            while size := int(await self._reader.readline(), 16):
                await self._reader.readexactly(size + 2)
            await self._reader.readline()
        else:
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await self._reader.readexactly(int(length))


async def measure(ground: Ground, pumps: int, ingested_a_second: float, requests: int) -> dict[str, float]:
    """The p99 at each of the `RATES` beside so many messages a second, and `api.requests_a_core_s` alone."""
    with ground.broker(NATS) as broker:
        async with (
            ground.database(max(pumps, SHOWN)) as database_url,
            running("ingest", ground.directory, database_url, broker.url) as ingester,
            answering(database_url, ground.directory) as api,
        ):
            asked = await _ready(database_url, requests)
            usual = min(RATES.values())
            await _rush(api, asked[: len(PATHS) * 2], usual)  # what is loaded once
            alone_s = cpu_s(api.pid)
            await _rush(api, asked, usual)
            alone_s = cpu_s(api.pid) - alone_s
            settle_in_s = SETTLE_IN_S * min(1.0, pumps / PUMPS)
            seconds = settle_in_s + sum(requests / rate for rate in RATES.values())
            background = asyncio.create_task(
                load.publish(broker.url, int(ingested_a_second * seconds), rate=ingested_a_second)
            )
            try:
                await asyncio.sleep(settle_in_s)
                took_s = {name: await _rush(api, asked, rate) for name, rate in RATES.items()}
                await background
                ingester.check()
            finally:
                background.cancel()
    p99_ms = {name: float(np.percentile(each, 99)) * 1000 for name, each in took_s.items()}
    return p99_ms | {"api.requests_a_core_s": requests / alone_s}


async def _ready(database_url: str, requests: int) -> list[str]:
    """What is asked, after a day of readings was stored of the pumps that are."""
    connection = await asyncpg.connect(database_url)
    try:
        await filled(connection)
        ids = [row["pump_id"] for row in await connection.fetch("SELECT pump_id FROM pump ORDER BY 1 LIMIT $1", SHOWN)]
    finally:
        await connection.close()
    return [PATHS[n % len(PATHS)].format(pump_id=ids[n % len(ids)]) for n in range(requests)]


async def _rush(api: Api, asked: Sequence[str], rate: float) -> list[float]:
    """Seconds from the time at which each was to be sent to the end of its answer."""
    took_s: list[float] = []
    queue: asyncio.Queue[tuple[float, str]] = asyncio.Queue()

    async def work(line: Line) -> None:
        while True:
            due_s, path = await queue.get()
            await line.ask(path)
            took_s.append(time.monotonic() - due_s)

    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(Line(api)) for _ in range(CONNECTIONS)]
        workers = [asyncio.create_task(work(line)) for line in lines]
        try:
            began_s = time.monotonic()
            for number, path in enumerate(asked):
                due_s = began_s + number / rate
                await asyncio.sleep(due_s - time.monotonic())
                queue.put_nowait((due_s, path))
            async with asyncio.timeout(PATIENCE_S):
                while len(took_s) < len(asked):
                    for worker in workers:
                        if worker.done():
                            worker.result()
                    await asyncio.sleep(0.01)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    return took_s


async def follow(ground: Ground, followers: int, changes: int) -> dict[str, float]:
    """`stream.p99_ms`: from a change's commit to each of so many who follow; nobody misses one."""
    async with (
        ground.database() as database_url,
        answering(database_url, ground.directory) as api,
        AsyncExitStack() as s,
    ):
        lines = [await s.enter_async_context(_following(api)) for _ in range(followers)]
        connection = await asyncpg.connect(database_url)
        s.push_async_callback(connection.close)
        waits = [asyncio.create_task(_heard(reader, changes)) for reader in lines]
        sent_at: list[float] = []
        for number in range(changes):
            async with connection.transaction():
                await connection.execute(_CHANGE, f"p{number}", number)
                await connection.execute("NOTIFY pumpwatch_change")
            sent_at.append(time.monotonic())
            await asyncio.sleep(0.2)
        async with asyncio.timeout(PATIENCE_S):
            heard = await asyncio.gather(*waits)
    took_s = [at - sent_at[number] for each in heard for number, at in each.items()]
    return {"stream.p99_ms": float(np.percentile(took_s, 99)) * 1000}


@asynccontextmanager
async def _following(api: Api) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {api.token}\r\n\r\n"
    writer.write(head.encode())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await reader.readuntil(b"event: hello")
        yield reader
    finally:
        writer.close()


async def _heard(reader: asyncio.StreamReader, changes: int) -> dict[int, float]:
    """When each change came, by its number."""
    found: dict[int, float] = {}
    while len(found) < changes:
        line = await reader.readline()
        if not line:
            raise ValueError("the stream has ended")
        if line.startswith(b"data: ") and b"number" in line:
            found[json.loads(line[6:])["number"]] = time.monotonic()
    return found
