"""What does a message cost with one, two and three ingesters? Each works off what three NATS nodes hold for it."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg

from service.core.cluster import shares
from service.core.shards import SHARDS, ranges_of
from service.settings import inherited_environment
from tests.benchmarks import load
from tests.benchmarks.ground import Ground
from tests.benchmarks.processes import cpu_s, ended, started
from tests.nats_cluster import STREAM, NatsCluster
from tests.patience import until_found

INGESTERS = (1, 2, 3)
_HEARD = "SELECT count(*) FROM shard WHERE marker_at IS NOT NULL AND instance IS NOT NULL"
_STORED = "SELECT count(*) FROM reading"


async def measure(ground: Ground, messages: int) -> dict[str, float]:
    """Messages a second, and µs of the ingesters' processors a message, by their number; and of a node, in and out."""
    figures: dict[str, float] = {}
    for ingesters in INGESTERS:
        directory = ground.directory / f"cluster_{ingesters}"
        cluster = NatsCluster(directory, ingesters=ingesters, anonymous=True)
        async with (
            ground.database() as url,
            _running(cluster),
            _ingesting(directory, url, cluster, ingesters) as pids,
        ):
            await _until(url, _HEARD, SHARDS)
            node_s = sum(cpu_s(node.pid) for node in cluster.nodes)
            with _stopped(pids):  # their sessions hold what comes
                await load.publish(cluster.anonymous_url, messages)
                held = cluster.nodes[0].streams()[STREAM]["state"]
            began, before = time.monotonic(), sum(map(cpu_s, pids))
            await _until(url, _STORED, messages)
            took_s, used_s = time.monotonic() - began, sum(map(cpu_s, pids)) - before
            node_s = sum(cpu_s(node.pid) for node in cluster.nodes) - node_s
        figures["cluster.message_bytes"] = held["bytes"] / held["messages"]
        figures["cluster.node_us"] = node_s / len(cluster.nodes) / messages * 1e6
        figures[f"cluster.ingesters_{ingesters}"] = messages / took_s
        figures[f"cluster.message_us_{ingesters}"] = used_s / messages * 1e6
    return figures


async def _until(url: str, count: str, enough: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        await until_found(
            lambda: connection.fetchval(count), f"{enough} of {count}", 170.0, lambda found: found >= enough
        )
    finally:
        await connection.close()


@contextmanager
def _stopped(pids: Sequence[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


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
