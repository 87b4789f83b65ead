"""Shards change hands while pumps publish: who comes next goes on with what was begun, and tells nobody again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import msgspec
from prometheus_client import CollectorRegistry

from service.core.fleet import Fleet
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.shards import SHARDS, shard_of
from service.loops.ingest import Ingester
from service.loops.rulebook import RulebookSource
from service.loops.shards import Shards
from service.metrics import Metrics
from service.ports import RawMessage, ShardStatus, Token
from service.postgres.alerts import AlertStore
from service.postgres.ingest_store import PostgresIngestStore
from service.postgres.leases import PostgresLeases
from service.postgres.shard_owners import want
from tests.loops.driven import Feed, telemetry
from tests.patience import until, until_found
from tests.pumps import MINUTE_MS, NOON_MS

PUMPS = [f"p{number:06}" for number in range(40)]
_STORED = "SELECT count(*) FROM reading"
_OWNERS = "SELECT instance, count(*) AS shards FROM shard GROUP BY 1"


class Sessions(Feed):
    """The broker's side of the sessions of many shards: what is sent goes to whoever has its shard now."""

    def __init__(self) -> None:
        super().__init__()
        self.shards: set[int] = set()

    @property
    def statuses(self) -> dict[int, ShardStatus]:
        now = datetime.now(UTC)
        return {shard: ShardStatus(now, now, "") for shard in self.shards}

    async def add(self, shard: int, *, recorded: bool) -> None:  # noqa: ARG002 - every session is new here
        self.shards.add(shard)

    async def remove(self, shard: int) -> None:
        await asyncio.sleep(0.3)  # the broker's last answer: looks come in between
        self.shards.discard(shard)

    def pause(self, shard: int) -> None:
        assert shard in self.shards

    def is_settled(self, shard: int) -> bool:
        return not any(message.token.connection == shard for message in self.queue)

    async def drain(self, max_messages: int, max_wait_s: float) -> list[RawMessage]:
        await asyncio.sleep(min(max_wait_s, 0.01))
        return await super().drain(max_messages, max_wait_s)


class Cluster:
    def __init__(self, url: str) -> None:
        self.url = url
        self.sessions: dict[str, Sessions] = {}
        self._sent = 0

    @asynccontextmanager
    async def ingester(self, name: str) -> AsyncIterator[None]:
        """One that runs until the block ends, and has given back everything then."""
        inbox = self.sessions[name] = Sessions()
        store = PostgresIngestStore(self.url, None, AlertStore(DEFAULT_RULEBOOK), name)
        source = RulebookSource(None, store.overrides)
        clock = self._clock
        fleet = Fleet(await source.look(clock()))
        metrics = Metrics(CollectorRegistry())
        one = Ingester(inbox, store, fleet, metrics, clock, enrolment_open=True, rulebooks=source)
        stop = asyncio.Event()
        running = asyncio.create_task(Shards(PostgresLeases(self.url, name, range(SHARDS)), inbox, one).run(stop))
        try:
            yield
        finally:
            stop.set()
            await until(running, "it to end", 60.0)
            del self.sessions[name]

    def send(self, pump_id: str, payload: dict[str, object]) -> None:
        shard = shard_of(pump_id)
        (inbox,) = (each for each in self.sessions.values() if shard in each.shards)
        self._sent += 1
        topic = f"shard/{shard}/pumps/v1/{pump_id}/telemetry".encode()
        now_ms = int(self._clock().timestamp() * 1000)
        inbox.queue.append(RawMessage(Token(shard, self._sent), topic, msgspec.json.encode(payload), now_ms))

    def _clock(self) -> datetime:
        return datetime.fromtimestamp((NOON_MS + 240 * MINUTE_MS) / 1000, UTC)


async def test_what_one_has_begun_the_next_one_goes_on_with(postgres_url: str, connection: asyncpg.Connection) -> None:
    cluster, stalls = Cluster(postgres_url), PUMPS[7]

    async def owners(*expected: int) -> None:
        def as_expected(rows: list[asyncpg.Record]) -> bool:
            return sorted(row["shards"] for row in rows if row["instance"]) == sorted(expected) and all(
                len(cluster.sessions[row["instance"]].shards) == row["shards"] for row in rows if row["instance"]
            )

        await until_found(lambda: connection.fetch(_OWNERS), f"{expected} shards", enough=as_expected)

    async def stored(count: int) -> None:
        await until_found(lambda: connection.fetchval(_STORED), f"{count} stored", enough=lambda found: found == count)

    async with cluster.ingester("a"):
        await owners(64)
        for pump_id in PUMPS:
            cluster.send(pump_id, telemetry(0, [0.0 if pump_id == stalls else 1.0] * 30))
        await stored(40 * 30)
        async with cluster.ingester("b"):
            await owners(32, 32)
            await want(connection, [shard_of(stalls)], "b")
            await until_found(
                lambda: connection.fetchval("SELECT instance FROM shard WHERE shard = $1", shard_of(stalls)),
                "the shard to be moved",
                enough=lambda owner: owner == "b" and shard_of(stalls) in cluster.sessions["b"].shards,
            )
            for pump_id in PUMPS:
                cluster.send(pump_id, telemetry(30, [0.0 if pump_id == stalls else 1.0] * 30))
            await stored(40 * 60)
        await owners(64)
        for pump_id in PUMPS:
            cluster.send(pump_id, telemetry(60, [1.0] * 30))
        await stored(40 * 90)
        await until_found(
            lambda: connection.fetchval("SELECT state FROM alert WHERE condition = 'stall'"),
            "the stall to be over",
            enough=lambda state: state != "active",
        )
    assert await connection.fetchval("SELECT count(*) FROM alert WHERE condition = 'stall'") == 1
    assert await connection.fetchval("SELECT count(*) FROM gap") == 0
    assert await connection.fetchval("SELECT count(*) FROM quarantine") == 0
    assert await connection.fetchval("SELECT count(*) FROM shard WHERE instance IS NOT NULL") == 0
