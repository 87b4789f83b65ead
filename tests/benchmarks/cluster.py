"""What does a message cost with one, two and three ingesters? Each works off what three NATS nodes hold for it.

How many a second is of all ingesters at once. What one costs is of one ingester after the other, as many messages each:
on the processors of one machine they take the caches from each other, which they would not on machines of their own.
The fleet grows with the ingesters: each has as many pumps, whatever their number.
"""

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
from service.core.shards import SHARDS, ranges_of, shard_of
from service.settings import inherited_environment
from tests.benchmarks import load
from tests.benchmarks.ground import Ground
from tests.benchmarks.processes import cpu_s, ended, started
from tests.nats_cluster import STREAM, NatsCluster
from tests.patience import until_found

INGESTERS = (1, 2, 3)
_HEARD = "SELECT count(*) FROM shard WHERE marker_at IS NOT NULL AND instance IS NOT NULL"
_STORED = "SELECT count(*) FROM reading"
_STORED_OF = "SELECT count(*) FROM reading WHERE pump = ANY ($1::integer[])"


async def measure(ground: Ground, messages: int, each: int, rounds: int) -> dict[str, float]:
    """Messages a second, and µs of an ingester's processor a message, by their number; and of a node, in and out.

    `messages` for each while all are at it at once, then `each` in each round of one after the other; multiples of the
    number of pumps.
    """
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
            pumps, at_once, a_round = load.PUMPS * ingesters, messages * ingesters, each * ingesters
            published, still = at_once, a_round * rounds
            with _stopped(pids):  # their sessions hold what comes
                await load.publish(cluster.anonymous_url, at_once, pumps=pumps, after=still)
                held = cluster.nodes[0].streams()[STREAM]["state"]
            began = time.monotonic()
            await _until(url, _STORED, at_once)
            took_s = time.monotonic() - began
            node_s = sum(cpu_s(node.pid) for node in cluster.nodes) - node_s
            used_s = 0.0
            for _ in range(rounds):
                with _stopped(pids):
                    still -= a_round
                    await load.publish(cluster.anonymous_url, a_round, pumps=pumps, before=published, after=still)
                    published += a_round
                    used_s += await _one_after_the_other(url, pids, published // pumps)
        figures["cluster.message_bytes"] = held["bytes"] / held["messages"]
        figures["cluster.node_us"] = node_s / len(cluster.nodes) / at_once * 1e6
        figures[f"cluster.ingesters_{ingesters}"] = at_once / took_s
        figures[f"cluster.message_us_{ingesters}"] = used_s / (a_round * rounds) * 1e6
    return figures


async def _one_after_the_other(url: str, pids: Sequence[int], of_each_pump: int) -> float:
    """Processor seconds until each has stored so many of each of its pumps, while the others stand still."""
    used_s = 0.0
    connection = await asyncpg.connect(url)
    pumps = await connection.fetch("SELECT pump, pump_id FROM pump")
    await connection.close()
    for pid, own in zip(pids, shares(len(pids)), strict=True):
        keys = [row["pump"] for row in pumps if shard_of(row["pump_id"]) in own]
        before_s = cpu_s(pid)
        os.kill(pid, signal.SIGCONT)
        await _until(url, _STORED_OF, of_each_pump * len(keys), keys)
        used_s += cpu_s(pid) - before_s
        os.kill(pid, signal.SIGSTOP)
    return used_s


async def _until(url: str, count: str, enough: int, *of: object) -> None:
    connection = await asyncpg.connect(url)
    try:
        await until_found(
            lambda: connection.fetchval(count, *of), f"{enough} of {count}", 170.0, lambda found: found >= enough
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
