"""While the database is away somebody is told by a way that does not need it, and nobody outside is called."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from service.core.alert import alert_id
from service.core.change import Condition
from service.core.rulebook import DEFAULT_RULEBOOK
from service.embedded.postgres import PostgresServer
from service.loops.guard import Guard
from service.loops.outage_memory import OutageMemory
from service.metrics import Metrics
from service.postgres.alerts import AlertStore
from service.postgres.migrate import migrate
from service.postgres.probe import PostgresProbe
from service.postgres.watchtower import PostgresWatchtower
from service.webhooks.direct import DirectLine
from tests.webhooks.endpoint import Endpoint, answers

AFTER = timedelta(seconds=20)
WELL = """
    INSERT INTO shard (shard, marker_at, reason) VALUES (0, now() + interval '1 day', '')
    ON CONFLICT (shard) DO UPDATE SET marker_at = excluded.marker_at;
    INSERT INTO role_heartbeat SELECT role, '1', now() + interval '1 day', true, ''
    FROM unnest('{ingest,watch,deliver}'::text[]) AS role
    ON CONFLICT (role, instance) DO UPDATE SET at = excluded.at;
"""


class Guarded:
    """A guard whose clock the test turns on, and who hears of it."""

    def __init__(
        self,
        url: str,
        told: Endpoint,
        called: Endpoint,
        line: DirectLine,
        outside: DirectLine,
        memory: OutageMemory | None,
        now: datetime | None,
    ) -> None:
        self.url, self.endpoint, self.outside = url, told, called
        self.now = now or datetime.now(UTC).replace(microsecond=0)
        self.metrics = Metrics(CollectorRegistry())
        self.guard = Guard(
            PostgresProbe(url, AFTER),
            lambda: self.now,
            self.metrics,
            after=AFTER,
            line=line,
            outside=outside,
            memory=memory,
        )

    async def turn(self, s: float) -> None:
        self.now += timedelta(seconds=s)
        await self.guard.turn()

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(each.body["type"], each.body["data"]["condition"]) for each in self.endpoint.requests]

    @property
    def calls(self) -> int:
        return len(self.outside.requests)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"pumpwatch_{name}", labels)


@asynccontextmanager
async def guarded(url: str, memory: OutageMemory | None = None, now: datetime | None = None) -> AsyncIterator[Guarded]:
    async with (
        Endpoint() as told,
        Endpoint() as called,
        DirectLine(told.url, told.secret) as line,
        DirectLine(called.url, "") as outside,
    ):
        yield Guarded(url, told, called, line, outside, memory, now)


@pytest.fixture
async def server_url(postgres_server: PostgresServer) -> str:
    await migrate(postgres_server.url())
    await execute(postgres_server.url(), WELL)
    return postgres_server.url()


async def execute(url: str, sql: str, *arguments: object) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql, *arguments) if arguments else await connection.execute(sql)
    finally:
        await connection.close()


async def test_an_outage_is_told_of_directly_and_stands_in_the_database_when_that_is_back(
    postgres_server: PostgresServer, server_url: str
) -> None:
    async with guarded(server_url) as here:
        await here.turn(0)
        assert (here.told, here.calls) == ([], 1)
        assert not here.outside.requests[0].verified, "it has no secret of ours"
        postgres_server.stop()
        here.endpoint.conducts += [answers(500), answers(503)]
        began_at = here.now + timedelta(seconds=1)
        for s in (1, 19, 1, 1, 2, 60):
            await here.turn(s)
        assert here.told == [("alert.activated", "storage_unavailable")] * 3, "until it has arrived"
        assert len({each.id for each in here.endpoint.requests}) == 1
        assert all(each.verified for each in here.endpoint.requests)
        assert here.calls == 1, "whoever listens outside hears nothing"
        assert here.sample("link_broken", link="database") == 1
        assert here.sample("storage_outage_seconds") == 83
        assert here.sample("heartbeats_total", outcome="withheld") == 1

        postgres_server.start()
        await here.turn(1)
        assert here.calls == 1
        tower = PostgresWatchtower(
            server_url, AlertStore(DEFAULT_RULEBOOK), DEFAULT_RULEBOOK, outage_after=AFTER, also=here.guard.storage
        )
        written = await tower.look(here.now)
        [alert] = [each for each in written or () if each.condition is Condition.STORAGE_UNAVAILABLE]
        position = int(began_at.timestamp() * 1000)
        assert alert.alert_id == alert_id("service:storage", Condition.STORAGE_UNAVAILABLE, position)
        assert here.endpoint.requests[0].body["data"]["alert_id"] == str(alert.alert_id)
        await here.turn(19)
        assert len(here.told) == 3, "it has to answer for a while"
        await here.turn(1)
        assert here.told[3:] == [("alert.resolved", "storage_unavailable")]
        await here.turn(41)
        assert [each.event for each in await tower.look(here.now) or () if each.alert_id == alert.alert_id] == [
            "condition_ended"
        ]
        await tower.close()
        assert here.calls == 2
        assert here.sample("link_broken", link="database") == 0


async def test_one_that_is_started_again_in_the_middle_of_an_outage_tells_of_the_same(
    postgres_server: PostgresServer, server_url: str, tmp_path: Path
) -> None:
    async with guarded(server_url, OutageMemory(tmp_path)) as first:
        await first.turn(0)
        postgres_server.stop()
        for s in (1, 20):
            await first.turn(s)
    async with guarded(server_url, OutageMemory(tmp_path), first.now + timedelta(seconds=9)) as again:
        await again.turn(0)
        assert again.told == first.told == [("alert.activated", "storage_unavailable")]
        told = [each.endpoint.requests[0] for each in (first, again)]
        assert len({each.id for each in told}) == 1, "whoever has heard it already sees that by its id"
        assert len({each.body["data"]["alert_id"] for each in told}) == 1


async def test_a_server_that_takes_nothing_more_is_an_outage(postgres_server: PostgresServer, server_url: str) -> None:
    async with guarded(server_url) as here:
        await execute(server_url, "ALTER DATABASE postgres SET default_transaction_read_only = on")
        for s in (0, 20):
            await here.turn(s)
        assert "ReadOnlySQLTransactionError" in here.endpoint.requests[0].body["data"]["what"]
        connection = await asyncpg.connect(server_url)
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute("ALTER DATABASE postgres RESET ALL")
        await connection.close()
        for s in (1, 20):
            await here.turn(s)
        assert [kind for kind, _ in here.told] == ["alert.activated", "alert.resolved"]


async def test_where_nobody_delivers_that_is_told_of_directly_and_outside_falls_silent(postgres_url: str) -> None:
    await execute(postgres_url, WELL)
    async with guarded(postgres_url) as here:
        await execute(postgres_url, "UPDATE role_heartbeat SET at = $1 WHERE role = 'deliver'", here.now)
        await here.turn(0)
        await here.turn(19)
        assert here.calls == 1
        await here.turn(1)
        assert here.told == [("alert.activated", "role_silent")]
        await here.turn(60)
        assert here.calls == 1
        assert here.sample("link_broken", link="deliver") == 1
        await execute(postgres_url, WELL)
        await here.turn(60)
        assert [kind for kind, _ in here.told] == ["alert.activated", "alert.resolved"]
        assert here.calls == 2
