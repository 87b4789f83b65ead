"""What does a message cost with one, two and three ingesters? Each works off what three NATS nodes hold for it."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from service.core.cluster import shares
from service.core.shards import SHARDS, ranges_of
from service.settings import inherited_environment
from tests.benchmarks import load
from tests.benchmarks.ground import Ground
from tests.benchmarks.processes import cpu_s, ended, started
from tests.nats_cluster import NatsCluster
from tests.patience import until_found

INGESTERS = (1, 2, 3)
FIRST = 1000
"""Messages before it counts: all processes are at work then."""
_HEARD = "SELECT count(*) FROM shard WHERE marker_at IS NOT NULL AND instance IS NOT NULL"
_STORED = "SELECT count(*) FROM reading"


async def measure(ground: Ground, messages: int) -> dict[str, float]:
    """Messages a second, and µs of the ingesters' processors a message, by their number; and of a node, in and out."""
    figures: dict[str, float] = {}
    for ingesters in INGESTERS:
        directory = ground.directory / f"cluster_{ingesters}"
        cluster = NatsCluster(directory, ingesters=ingesters, anonymous=True)
        async with ground.database() as url, _running(cluster):
            async with _ingesting(directory, url, cluster, ingesters):
                await _until(url, _HEARD, SHARDS)  # from now on the sessions hold what comes
            node_s = sum(cpu_s(node.pid) for node in cluster.nodes)
            await load.publish(cluster.anonymous_url, messages)
            async with _ingesting(directory, url, cluster, ingesters) as pids:
                first = await _until(url, _STORED, min(FIRST, messages // 2))
                began, before = time.monotonic(), sum(map(cpu_s, pids))
                await _until(url, _STORED, messages)
                took_s, used_s = time.monotonic() - began, sum(map(cpu_s, pids)) - before
            node_s = sum(cpu_s(node.pid) for node in cluster.nodes) - node_s
        figures["cluster.node_us"] = node_s / len(cluster.nodes) / messages * 1e6
        if first < messages:
            figures[f"cluster.ingesters_{ingesters}"] = (messages - first) / took_s
            figures[f"cluster.message_us_{ingesters}"] = used_s / (messages - first) * 1e6
    return figures


async def _until(url: str, count: str, enough: int) -> int:
    connection = await asyncpg.connect(url)
    try:
        found: int = await until_found(
            lambda: connection.fetchval(count), f"{enough} of {count}", 170.0, lambda found: found >= enough
        )
    finally:
        await connection.close()
    return found


@asynccontextmanager
async def _ingesting(directory: Path, url: str, cluster: NatsCluster, ingesters: int) -> AsyncIterator[list[int]]:
    """So many ingesters, each with shards of its own: none is moved meanwhile. Their process ids."""
    environment = inherited_environment() | {"PUMPWATCH_DATABASE_URL": url, "PUMPWATCH_BROKER_URL": cluster.service_url}
    command = [sys.executable, "-m", "service", "run", "ingest"]
    async with AsyncExitStack() as stack:
        pids = []
        for number, own in enumerate(shares(ingesters)):
            named = {"PUMPWATCH_SHARDS": ranges_of(own), "PUMPWATCH_INSTANCE": f"i{number}"}
            child = await started(command, environment=environment | named, log=directory / f"i{number}.log")
            pids.append((await stack.enter_async_context(ended(child))).pid)
        yield pids


@asynccontextmanager
async def _running(cluster: NatsCluster) -> AsyncIterator[None]:
    try:
        await cluster.start()
        yield
    finally:
        await asyncio.to_thread(cluster.stop)
