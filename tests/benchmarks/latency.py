"""How long from a reading sent to its webhook request begun, while the ingester is at half of what it can?

Each probe is a pump of its own: a reading with a full reservoir, then an almost empty one, which is an alert at once.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiomqtt
import asyncpg
import numpy as np

from service.postgres.endpoints import add_endpoint
from tests.benchmarks import load
from tests.benchmarks.ground import NATS, Ground
from tests.benchmarks.roles import RoleError, running
from tests.keys import VAULT

PROBE_EVERY_S = 0.04
SETTLE_IN_S = 1.0
PATIENCE_S = 30.0
MINUTE_MS = 60_000


class Endpoint:
    """An HTTP server that notes when the first byte about each pump came, and says 204."""

    def __init__(self) -> None:
        self.begun_at: dict[str, float] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while first := await reader.read(1):
                begun_at = time.monotonic()
                head = first + await reader.readuntil(b"\r\n\r\n")
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = json.loads(await reader.readexactly(int(lengths[0].partition(b":")[2])))
                self.begun_at.setdefault(body["data"]["pump_id"], begun_at)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        finally:
            writer.close()


async def measure(ground: Ground, rate: float, probes: int) -> float:
    """The 99th percentile, ms, over `probes` alerts beside `rate` messages a second through NATS."""
    with ground.broker(NATS) as broker:
        async with (
            ground.database() as database_url,
            _listening(database_url) as endpoint,
            running("ingest", ground.directory, database_url, broker.url) as ingester,
            running("deliver", ground.directory, database_url, broker.url),
            _connected(broker.url) as client,
        ):
            seconds = SETTLE_IN_S + probes * PROBE_EVERY_S
            background = asyncio.create_task(load.publish(broker.url, int(rate * seconds), rate=rate))
            try:
                for number in range(probes):
                    await client.publish(_topic(number), _reading(0, reservoir_ml=18.0), qos=1)
                await asyncio.sleep(SETTLE_IN_S)
                sent_at = await _probe(client, probes)
                await _all_told(endpoint, sent_at)
                await background
                ingester.check()
            finally:
                background.cancel()
    return float(np.percentile([endpoint.begun_at[pump] - at for pump, at in sent_at.items()], 99)) * 1000


async def _probe(client: aiomqtt.Client, probes: int) -> dict[str, float]:
    sent_at: dict[str, float] = {}
    began_at = time.monotonic()
    for number in range(probes):
        await asyncio.sleep(began_at + number * PROBE_EVERY_S - time.monotonic())
        sent_at[_pump_id(number)] = time.monotonic()
        await client.publish(_topic(number), _reading(1, reservoir_ml=1.0), qos=1)
    return sent_at


async def _all_told(endpoint: Endpoint, sent_at: dict[str, float]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while missing := sent_at.keys() - endpoint.begun_at.keys():
        if time.monotonic() > deadline:
            raise RoleError(f"{len(missing)} of {len(sent_at)} alerts did not reach the endpoint")
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _listening(database_url: str) -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    connection = await asyncpg.connect(database_url)
    await add_endpoint(connection, VAULT, "bench", url, "bench", accepts_simulated=True)
    await connection.close()
    try:
        yield endpoint
    finally:
        server.close()


@asynccontextmanager
async def _connected(broker_url: str) -> AsyncIterator[aiomqtt.Client]:
    at = urlsplit(broker_url)
    async with aiomqtt.Client(at.hostname or "", at.port or 1883, identifier="probe") as client:
        yield client


def _pump_id(number: int) -> str:
    return f"probe{number}"


def _topic(number: int) -> str:
    return f"pumps/v1/{_pump_id(number)}/telemetry"


def _reading(seq: int, *, reservoir_ml: float) -> bytes:
    time_ms = int(time.time() * 1000) - (MINUTE_MS if seq == 0 else 0)
    told = {"boot": 1, "seq": seq, "held_from": [1, 0], "simulated": True, "time_ms": [time_ms], "mode": ["running"]}
    values = {"program_ml_d": [0.5], "flow_ml_d": [0.5], "reservoir_ml": [reservoir_ml], "battery_v": [2.9]}
    return json.dumps(told | values).encode()
