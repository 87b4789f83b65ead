"""What does a run of failures on a cluster stand on? Three NATS nodes, ingesters that share its shards, a fleet."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from service.embedded.postgres import PostgresServer
from service.exits import EXIT_PROBLEMS
from service.postgres.migrate import migrate
from service.settings import inherited_environment
from tests.benchmarks.processes import ended, started
from tests.failures.ingester import COUNTED, Ingester
from tests.failures.stage import Fleet, Load, register
from tests.keys import KEY
from tests.nats_cluster import NatsCluster
from tests.patience import until_found, until_true

CONNECTIONS = 48
"""A node answers a connection's messages one after the other, each once a majority has it."""
TAKEOVER_WITHIN_S = 150.0
"""Before a test fails. What it takes is reported: 10 s are asked for."""

# Shards that have been heard to their end since a time, by ingesters that live.
_CAUGHT_UP = """
SELECT count(*) FROM shard JOIN ingester USING (instance)
WHERE marker_at > $1::timestamptz AND seen_at > now() - interval '5 s'
"""
_OWNERS = "SELECT instance, array_agg(shard ORDER BY shard) AS shards FROM shard GROUP BY 1"


class ClusterIngester(Ingester):
    """One that may be superseded, and ends then: whoever supervises it starts it again."""

    superseded = 0

    def check(self) -> None:
        if not self.is_superseded:
            super().check()

    @property
    def is_superseded(self) -> bool:
        return self._child is not None and self._child.returncode == EXIT_PROBLEMS

    async def start_again_when_superseded(self) -> None:
        while True:
            if self.is_superseded:
                await self.ended_by_itself()
                assert "ingester_fenced" in self.log, self.log[-2000:]
                self.superseded += 1
                await self.start()
            await asyncio.sleep(0.1)


class Ingesters:
    """All of them, seen as one by whoever counts."""

    def __init__(self, each: Sequence[ClusterIngester]) -> None:
        self.each = list(each)

    @property
    def counts(self) -> dict[str, int]:
        return {name: sum(one.counts[name] for one in self.each) for name in COUNTED}

    @property
    def log(self) -> str:
        return "".join(one.log for one in self.each)

    def now(self, name: str) -> int:
        self.check()
        return self.counts[name]

    def check(self) -> None:
        for one in self.each:
            one.check()


@dataclass
class ClusterStage:
    """Everything that can be hit; `broker`, `ingester` and `fleet` as those of tests/failures/stage.py."""

    directory: Path
    postgres: PostgresServer
    broker: NatsCluster
    ingester: Ingesters
    fleet: Fleet
    connection: asyncpg.Connection
    takeovers_s: list[float] = field(default_factory=list)

    @property
    def database_url(self) -> str:
        return self.postgres.url()

    async def now(self) -> object:
        return await self.connection.fetchval("SELECT clock_timestamp()")

    async def owners(self) -> dict[str | None, list[int]]:
        return {row["instance"]: row["shards"] for row in await self.connection.fetch(_OWNERS)}

    async def until_all_is_heard(self, since: object | None = None) -> float:
        """Every shard has an ingester and is caught up. How many seconds that took, from `since` or now on."""
        began = time.monotonic()
        since = since or await self.now()
        await until_found(
            lambda: self.connection.fetchval(_CAUGHT_UP, since),
            "every shard to be heard",
            TAKEOVER_WITHIN_S,
            enough=lambda heard: heard == 64,
        )
        return time.monotonic() - began

    async def until_taken_over(self, since: object) -> None:
        """By others, what somebody had who is gone since then."""
        self.takeovers_s.append(await self.until_all_is_heard(since))
        sys.stdout.write(f"          all is heard again after {self.takeovers_s[-1]:.1f} s\n")

    async def until_shared(self) -> None:
        """Every ingester that runs has its part."""
        names = {f"i{number}" for number in range(len(self.ingester.each))}
        await until_found(self.owners, "all to have their part", enough=lambda owners: set(owners) == names)

    async def stored_more(self, readings: int) -> None:
        goal = self.ingester.now("stored") + readings
        await until_true(lambda: self.ingester.now("stored") >= goal, f"{readings} more readings", 240.0)


@asynccontextmanager
async def cluster_stage(
    directory: Path, postgres: PostgresServer, load: Load, *, ingesters: int = 3, connections: int = CONNECTIONS
) -> AsyncIterator[ClusterStage]:
    """All of it ready, the fleet registered."""
    await migrate(postgres.url())
    cluster = NatsCluster(directory / "nats", ingesters=ingesters)
    fleet = Fleet(directory, load, "--connections", connections)
    await fleet.write_registry()
    await register(postgres.url(), fleet.registry)
    each = [ingester_of(directory, postgres.url(), cluster, number) for number in range(ingesters)]
    connection = await asyncpg.connect(postgres.url())
    supervised = [asyncio.create_task(one.start_again_when_superseded()) for one in each]
    try:
        await cluster.start()
        for one in each:
            await one.start()
        here = ClusterStage(directory, postgres, cluster, Ingesters(each), fleet, connection)
        await here.until_shared()
        await here.until_all_is_heard()
        yield here
        assert not any(task.done() for task in supervised), await asyncio.gather(*supervised)
    finally:
        for task in supervised:
            task.cancel()
        await asyncio.gather(*supervised, return_exceptions=True)
        await connection.close()
        await asyncio.gather(*(one.abandon() for one in each))
        cluster.stop()


def ingester_of(directory: Path, url: str, cluster: NatsCluster, number: int) -> ClusterIngester:
    settings = {"PUMPWATCH_SHARDS": "0-63", "PUMPWATCH_INSTANCE": f"i{number}"}
    return ClusterIngester(directory / f"ingester{number}", url, cluster.service_url, **settings)


@asynccontextmanager
async def watching(here: ClusterStage) -> AsyncIterator[None]:
    """The role `watch` beside it, which asks the nodes about themselves."""
    environment = inherited_environment() | {
        "PUMPWATCH_DATABASE_URL": here.database_url,
        "PUMPWATCH_BROKER_URL": here.broker.service_url,
        "PUMPWATCH_BROKER_MONITOR_URL": here.broker.monitoring_urls,
        "PUMPWATCH_CANARY_EVERY_S": "0",
        "PUMPWATCH_SECRET_KEY": KEY,
    }
    command = [sys.executable, "-m", "service", "run", "watch"]
    child = await started(command, environment=environment, log=here.directory / "watch.log")
    async with ended(child):
        with suppress(ProcessLookupError):
            yield
