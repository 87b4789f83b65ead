"""Who has which shard of a cluster, and who takes over from one that is gone? A lease a shard, by the database's clock.

An ingester says each second that it lives, on a session that holds the lock of its name: the session ends with a
process that is killed, the saying with one that hangs. That a lease has changed hands is a new epoch, which the fence
of each batch sees (fence.py): two owners at a time do no harm.
"""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

import asyncpg

from service.core.leases import Looked, Standing, Won, share_out
from service.core.shards import SHARDS, ranges_of
from service.logs import tell
from service.ports import StoreUnavailableError
from service.postgres.outage import outages_told

LOCK_CLASS: Final = 20568
"""First key of the advisory locks; the second is a hash of the ingester's name."""
LEASE_S: Final = 5.0
MISSED_LOOKS: Final = 3
"""So often in a row one must be found gone, by one that looks: after an outage all are late, and none is gone."""
ANSWERS_WITHIN_S: Final = 5.0

_LOCK: Final = f"SELECT pg_try_advisory_lock({LOCK_CLASS}, hashtext($1))"
_SEEN: Final = """
    INSERT INTO ingester (instance, process, takes, seen_at) VALUES ($1, $2, $3, clock_timestamp())
    ON CONFLICT (instance) DO UPDATE SET process = excluded.process, takes = excluded.takes, seen_at = excluded.seen_at
"""
_MAKE_SHARDS: Final = f"""
    INSERT INTO shard (shard, reason) SELECT shard, 'no ingester has it' FROM generate_series(0, {SHARDS - 1}) AS shard
    ON CONFLICT DO NOTHING
"""
# From when there was one ingester for all.
_DEAL_OUT: Final = "UPDATE pump SET shard = shard_of(pump_id) WHERE shard <> shard_of(pump_id)"
_OTHERS: Final = f"""
    SELECT instance, takes, seen_at > clock_timestamp() - make_interval(secs => {LEASE_S}) AND EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND classid = {LOCK_CLASS} AND objid = hashtext(instance)::oid AND objsubid = 2
            AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) AS lives
    FROM ingester WHERE instance <> $1
"""
_STANDING: Final = "SELECT shard, epoch, instance, wanted_by FROM shard ORDER BY shard"
# Only as we have seen it, and none whose row somebody is at work on: at the next look, then.
_CLAIM: Final = """
    WITH free AS (
        SELECT s.shard
        FROM shard AS s JOIN unnest($1::integer[], $2::bigint[]) AS seen (shard, epoch) USING (shard, epoch)
        ORDER BY s.shard FOR UPDATE OF s SKIP LOCKED
    )
    UPDATE shard AS s SET epoch = s.epoch + 1, instance = $3, owner = $4, batch_no = 0, reason = 'starting',
        trouble_since = NULL, marker_at = NULL, caught_up_at = coalesce(s.marker_at, s.caught_up_at)
    FROM free WHERE s.shard = free.shard
    RETURNING s.shard, s.epoch, s.session_since IS NOT NULL AS recorded
"""
_RELEASE: Final = """
    UPDATE shard AS s SET epoch = s.epoch + 1, instance = NULL, owner = '', reason = 'no ingester has it'
    FROM unnest($1::integer[], $2::bigint[]) AS held (shard, epoch) WHERE s.shard = held.shard AND s.epoch = held.epoch
"""
_LEAVE: Final = "DELETE FROM ingester WHERE instance = $1"
_FORGET: Final = "DELETE FROM ingester WHERE seen_at < now() - interval '1 day'"


class NameTakenError(StoreUnavailableError):
    """Another process has this ingester's name: one that lives, or whose end the database has not noticed yet."""


class PostgresLeases:
    def __init__(self, url: str, instance: str, takes: Collection[int]) -> None:
        self._url, self._instance, self._takes = url, instance, sorted(takes)
        self._host_process = f"{socket.gethostname()}/{os.getpid()}"
        self._session: asyncpg.Connection | None = None
        self._missed: Counter[str] = Counter()
        self._one_at_a_time = asyncio.Lock()

    async def look(self, held: Collection[int]) -> Looked:
        """Say that we live; claim what is ours to have, and say what is to be given back, of those that we hold.

        Raises StoreUnavailableError.
        """
        try:
            with outages_told():
                async with self._one_at_a_time:
                    session = await self._lives()
                    await session.execute(_SEEN, self._instance, self._host_process, self._takes)
                    takes = await self._living(session) | {self._instance: self._takes}
                    standing = [Standing(**row) for row in await session.fetch(_STANDING)]
                    share = share_out(self._instance, takes, standing, held)
                    won = await self._claim(session, standing, share.claim)
        except StoreUnavailableError:
            self._missed.clear()
            raise
        return Looked(won, share.give_back)

    async def release(self, shards: Mapping[int, int]) -> None:
        """These, by their epochs, are anybody's. Raises StoreUnavailableError."""
        with outages_told():
            async with self._one_at_a_time:
                session = await self._lives()
                await session.execute(_RELEASE, list(shards), list(shards.values()))
        tell("shards_given_back", shards=ranges_of(shards))

    async def leave(self) -> None:
        """Live no longer: nobody need wait to find that out."""
        session, self._session = self._session, None
        if session is not None and not session.is_closed():
            try:
                with outages_told():
                    await session.execute(_LEAVE, self._instance)
            finally:
                session.terminate()

    async def _living(self, session: asyncpg.Connection) -> dict[str, list[int]]:
        others = await session.fetch(_OTHERS, self._instance)
        self._missed = Counter(
            {row["instance"]: self._missed[row["instance"]] + 1 for row in others if not row["lives"]}
        )
        return {row["instance"]: row["takes"] for row in others if self._missed[row["instance"]] < MISSED_LOOKS}

    async def _claim(self, session: asyncpg.Connection, standing: list[Standing], claim: list[int]) -> list[Won]:
        if not claim:
            return []
        seen = {each.shard: each for each in standing}
        rows = await session.fetch(
            _CLAIM, claim, [seen[shard].epoch for shard in claim], self._instance, self._host_process
        )
        for row in rows:
            tell("shard_taken_over", shard=row["shard"], epoch=row["epoch"], of=seen[row["shard"]].instance)
        return [Won(**row) for row in rows]

    async def _lives(self) -> asyncpg.Connection:
        if self._session is None or self._session.is_closed():
            self._missed.clear()
            self._session = await self._begun()
        return self._session

    async def _take_name(self, session: asyncpg.Connection) -> None:
        if not await session.fetchval(_LOCK, self._instance):
            raise NameTakenError(f"another process is the ingester {self._instance}")

    async def _begun(self) -> asyncpg.Connection:
        name = {"application_name": f"pumpwatch-leases-{self._instance}"}
        session = await asyncpg.connect(
            self._url, timeout=ANSWERS_WITHIN_S, command_timeout=ANSWERS_WITHIN_S, server_settings=name
        )
        try:
            await self._take_name(session)
            async with session.transaction():
                if await session.execute(_MAKE_SHARDS) != "INSERT 0 0":
                    await session.execute(_DEAL_OUT, timeout=600)
                await session.execute(_FORGET)
        except BaseException:
            session.terminate()
            raise
        return session
