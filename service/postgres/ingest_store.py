"""What does the ingester write and read back? `ports.IngestStore` on PostgreSQL, over one fenced connection."""

import os
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import numpy as np
import numpy.typing as npt

from service.core.change import Change
from service.core.fleet import Fleet, PumpEntry
from service.core.override import Override
from service.core.pipeline import Decisions
from service.core.pump_rules import PumpRules, Term
from service.core.reading import Items
from service.core.rejection import Rejection
from service.core.relearn import Seed
from service.core.repeats import Told
from service.core.rulebook import Rulebook
from service.core.sequence import Gap
from service.ports import Checkpoint, RawMessage, Recovered, RulesChange, Run, ShardStatus
from service.postgres import (
    batches,
    boots,
    checkpoint,
    comparing,
    latest,
    overrides,
    readings,
    rebuilds,
    registry,
    repeating,
    rulebooks,
)
from service.postgres.alerts import AlertStore
from service.postgres.batch_write import BatchWrite
from service.postgres.fence import FencedWriter
from service.postgres.patient import PatientConnection
from service.postgres.reading_on import read_on

# The registry's word on pumps.
_ENTRIES: Final = """
    SELECT pump, pump_id, site, drug_class, flow_channel, reservoir_channel, capacity_ml, interval_s,
           bolus_daily_cap_ul, implanted_on, mri_from_at, mri_until_at
    FROM pump
"""
_PUMPS: Final = f"{_ENTRIES} WHERE shard = ANY ($1::integer[]) ORDER BY pump"
_CHANGED: Final = """
    SELECT updated_at, array_agg(pump) AS pumps FROM pump
    WHERE shard = ANY ($1::integer[]) AND updated_at > $2 GROUP BY updated_at
"""
_BY_KEY: Final = f"{_ENTRIES} WHERE pump = ANY ($1::integer[]) ORDER BY pump"
# The broker's mapping says whose a pump is: whoever hears it.
_ADOPT: Final = "UPDATE pump SET shard = $2 WHERE pump_id = ANY ($1::text[]) AND shard <> $2"
_BY_ID: Final = f"{_ENTRIES} WHERE pump_id = ANY ($1::text[]) ORDER BY pump"
# This ingester lives, and this is how it is.
_HEARTBEAT: Final = """
    INSERT INTO role_heartbeat (role, instance, at, ready, reason) VALUES ('ingest', $1, $2, $3, $4)
    ON CONFLICT (role, instance) DO UPDATE SET at = excluded.at, ready = excluded.ready, reason = excluded.reason
"""


class PostgresIngestStore:
    def __init__(self, url: str, shard: int | None, alerts: AlertStore, instance: str = "") -> None:
        """`shard`: the one that is taken over by force; None: those that `instance` holds by lease."""
        self._writer = FencedWriter(url, shard, instance)
        # What was last heard is heard again: it need not be on the disk before the next batch may go on.
        self._aside = PatientConnection(
            url, f"pumpwatch-ingest-{instance or shard}-latest", {"synchronous_commit": "off"}
        )
        self._shard = shard
        self._alerts = alerts
        self._rules: dict[str, PumpRules] = {}
        self._bad_of: tuple[int, int] = (0, 0)  # a connection, and when the first bad message came over it

    def _since_reconnect(self, rejected: Sequence[tuple[RawMessage, Rejection]]) -> datetime | None:
        """When the connection began to bring bad messages over which these have come."""
        if not rejected:
            return None
        newest = max(message.token.connection for message, _ in rejected)
        if newest != self._bad_of[0]:
            first_ms = min(message.received_ms for message, _ in rejected if message.token.connection == newest)
            self._bad_of = newest, first_ms
        return readings.instant(self._bad_of[1])

    @property
    def problem(self) -> str:
        return self._writer.problem

    async def take_over(self, owner: str) -> None:
        await self._writer.take_over(f"{owner}/{os.getpid()}")

    def hold(self, epochs: Mapping[int, int]) -> None:
        self._writer.hold(epochs)

    def let_go(self, shards: Collection[int]) -> None:
        self._writer.let_go(shards)

    async def close(self) -> None:
        await self._writer.close()
        await self._aside.close()

    async def pumps(self, keys: Sequence[int] | None = None, shards: Collection[int] | None = None) -> list[PumpEntry]:
        found: list[PumpEntry] = []
        query, whose = (_PUMPS, self._among(shards)) if keys is None else (_BY_KEY, keys)

        async def look(connection: asyncpg.Connection) -> None:
            found[:] = map(_entry, await connection.fetch(query, whose))

        await self._writer.read(look)
        return found

    async def changed(self, since: datetime) -> dict[datetime, list[int]]:
        found: dict[datetime, list[int]] = {}

        async def look(connection: asyncpg.Connection) -> None:
            found.clear()
            found.update(await connection.fetch(_CHANGED, self._among(None), since))

        await self._writer.read(look)
        return found

    async def enrol(self, pump_ids: Sequence[str], simulated: Sequence[bool]) -> list[PumpEntry]:
        found: list[PumpEntry] = []

        async def write(connection: asyncpg.Connection) -> None:
            await registry.enrol(connection, pump_ids, simulated, self._shard or 0)
            if self._shard is not None:
                await connection.execute(_ADOPT, list(pump_ids), self._shard)
            found[:] = map(_entry, await connection.fetch(_BY_ID, list(pump_ids)))

        await self._writer.write(write)
        return found

    async def recovered(self, shards: Collection[int] | None = None) -> Recovered:
        found: list[Recovered] = []
        among = self._among(shards)

        async def look(connection: asyncpg.Connection) -> None:
            checkpoints, unreadable = await checkpoint.latest(connection, among)
            found[:] = [
                Recovered(
                    checkpoints,
                    unreadable,
                    await checkpoint.lost_spans(connection, among),
                    await checkpoint.clock_offsets(connection, among),
                    await checkpoint.rebuilds(connection, among),
                    await checkpoint.waited_for(connection, among),
                )
            ]

        await self._writer.read(look)
        return found[0]

    async def items_after(self, keys: Sequence[int], after: Sequence[int], since: Sequence[datetime]) -> Items:
        found: list[Items] = []

        async def look(connection: asyncpg.Connection) -> None:
            found[:] = [await readings.read_back(connection, list(keys), list(after), list(since))]

        await self._writer.read(look)
        return found[0]

    async def items_next(
        self, keys: Sequence[int], after: Sequence[int], since: Sequence[datetime], most: int
    ) -> tuple[Items, set[int]]:
        found: list[tuple[Items, set[int]]] = []

        async def look(connection: asyncpg.Connection) -> None:
            found[:] = [await read_on(connection, keys, after, since, most)]

        await self._writer.read(look)
        return found[0]

    async def stored_among(self, runs: Sequence[Run]) -> set[tuple[int, int]]:
        found: set[tuple[int, int]] = set()

        async def look(connection: asyncpg.Connection) -> None:
            found.clear()
            found.update(await readings.stored_among(connection, runs))

        await self._writer.read(look)
        return found

    async def stored_as(self, items: Items, apart: timedelta) -> Items:
        found: list[Items] = []

        async def look(connection: asyncpg.Connection) -> None:
            found[:] = [await comparing.stored_as(connection, items, apart)]

        await self._writer.read(look)
        return found[0]

    async def accepted_boots(self, keys: Sequence[int]) -> dict[int, int]:
        found: dict[int, int] = {}

        async def look(connection: asyncpg.Connection) -> None:
            found.update(await boots.accepted(connection, keys))

        await self._writer.read(look)
        return found

    async def checkpoint_before(self, key: int, position: int, horizon: datetime) -> Checkpoint:
        found: list[Checkpoint] = []

        async def look(connection: asyncpg.Connection) -> None:
            found[:] = [await checkpoint.before(connection, key, position, horizon)]

        await self._writer.read(look)
        return found[0]

    async def commit_batch(
        self,
        fleet: Fleet,
        decisions: Decisions,
        bodies: Sequence[bytes],
        rejected: Sequence[tuple[RawMessage, Rejection]],
        now: datetime,
    ) -> int:
        write = BatchWrite(fleet, decisions, bodies, rejected, self._alerts, now, self._since_reconnect(rejected))
        return await write.through(self._writer)

    async def commit_fold(self, changes: Sequence[Change], gaps: Mapping[int, Sequence[Gap]], now: datetime) -> None:
        async def write(connection: asyncpg.Connection) -> None:
            await batches.write_changes(connection, changes, self._alerts, now)
            for key, missing in gaps.items():
                await batches.write_gaps(connection, key, missing, now)

        await self._writer.write(write)

    async def forget_rebuild(self, keys: Sequence[int]) -> None:
        async def write(connection: asyncpg.Connection) -> None:
            await checkpoint.rebuilt(connection, keys)

        await self._writer.write(write)

    async def commit_rebuild(
        self, late_from: int, start: Checkpoint, episodes: Sequence[Change], rebuilt: Checkpoint, now: datetime
    ) -> None:
        async def write(connection: asyncpg.Connection) -> None:
            terms = (await rulebooks.terms_of(connection, [rebuilt.key], self._rules)).get(rebuilt.key, [])
            await rebuilds.write(
                connection, self._alerts, rebuilds.Rebuilt(late_from, start, episodes, rebuilt), terms, now
            )

        await self._writer.write(write)

    async def terms(self, keys: Sequence[int]) -> dict[int, list[Term]]:
        found: dict[int, list[Term]] = {}

        async def look(connection: asyncpg.Connection) -> None:
            found.update(await rulebooks.terms_of(connection, keys, self._rules))

        await self._writer.read(look)
        return found

    async def seeds(self, keys: Sequence[int], at: datetime) -> dict[int, list[Seed]]:
        found: dict[int, list[Seed]] = {}

        async def look(connection: asyncpg.Connection) -> None:
            found.update(await checkpoint.seeds_of(connection, keys, at))

        await self._writer.read(look)
        return found

    async def overrides(self) -> list[Override]:
        found: list[Override] = []

        async def look(connection: asyncpg.Connection) -> None:
            found[:] = await overrides.open_overrides(connection)

        await self._writer.read(look)
        return found

    async def put_in_force(self, change: RulesChange, now: datetime) -> None:
        async def write(connection: asyncpg.Connection) -> None:
            await checkpoint.save(connection, change.checkpoints, now)
            await rulebooks.judge(connection, change.rulebook, change.terms, now)
            await batches.write_changes(connection, change.turns, self._alerts, now)

        await self._writer.write(write)

    async def use(self, rulebook: Rulebook, now: datetime) -> None:
        async def write(connection: asyncpg.Connection) -> None:
            await rulebooks.enter_into_force(connection, rulebook, now)

        await self._writer.write(write)
        self._alerts.use(rulebook)

    async def save_checkpoints(self, checkpoints: Sequence[Checkpoint], now: datetime) -> None:
        async def write(connection: asyncpg.Connection) -> None:
            await checkpoint.save(connection, checkpoints, now)

        await self._writer.write(write)

    async def save_latest(self, fleet: Fleet, rows: npt.NDArray[np.intp]) -> None:
        async def write(connection: asyncpg.Connection) -> None:
            await latest.save_latest(connection, self._writer.epochs, fleet, rows)

        await self._aside.read(write)

    async def save_repeating(self, told: Sequence[Told], now: datetime) -> None:
        async def write(connection: asyncpg.Connection) -> None:
            await repeating.save(connection, told, now)

        await self._aside.read(write)

    async def save_shards(self, statuses: Mapping[int, ShardStatus], now: datetime) -> None:
        problem = next((status.problem for status in statuses.values() if status.problem), "")

        async def write(connection: asyncpg.Connection) -> None:
            await latest.save_shards(connection, self._writer.epochs, statuses)
            await connection.execute(_HEARTBEAT, self._writer.instance, now, not problem, problem)

        await self._aside.read(write)

    def _among(self, shards: Collection[int] | None) -> list[int]:
        return list(self._writer.epochs if shards is None else shards)


def _entry(row: asyncpg.Record) -> PumpEntry:
    return PumpEntry(row["pump"], row["pump_id"], registry.facts_in(row))
