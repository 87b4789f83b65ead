"""What do people do about messages that were kept aside? Read them again after a fix, or drop them with a reason."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import asyncpg

from service.ports import Again, Clock
from service.postgres.accounts import audit
from service.postgres.outage import outages_told
from service.postgres.quarantine import KEPT_BYTES
from service.postgres.queries import TOPIC_OF


class State(StrEnum):
    KEPT = "kept"
    REPLAYING = "replaying"  # asked for; the ingester has yet to read it
    REPLAYED = "replayed"
    DROPPED = "dropped"


class AsideRefusedError(Exception):
    """That cannot be done with it any more; the text says why."""


_STATE: Final = f"""
CASE WHEN dropped_at IS NOT NULL THEN '{State.DROPPED}' WHEN replayed_at IS NOT NULL THEN '{State.REPLAYED}'
    WHEN replay_asked_at IS NOT NULL THEN '{State.REPLAYING}' ELSE '{State.KEPT}' END
"""
_PUMP_ID: Final = TOPIC_OF.format(topic="topic")
_COLUMNS: Final = f"""
id, received_at, topic, {_PUMP_ID} AS pump_id, reason, detail, length, sha256, {_STATE} AS state, replay_asked_at,
replay_asked_by, replayed_at, dropped_at, dropped_by, drop_reason
"""
PAGE: Final = f"""
SELECT {_COLUMNS} FROM quarantine
WHERE id < $1 AND ($2::text IS NULL OR reason = $2) AND ($3::timestamptz IS NULL OR received_at >= $3)
    AND ($4::timestamptz IS NULL OR received_at < $4) AND ($5::text IS NULL OR {_PUMP_ID} = $5)
    AND ($6::text[] IS NULL OR {_STATE} = ANY ($6))
    AND ($7::text[] IS NULL OR EXISTS (SELECT FROM pump WHERE pump_id = {_PUMP_ID} AND site = ANY ($7)))
ORDER BY id DESC LIMIT $8
"""
# A message that is still bad once it is read again is kept aside again.
_ONE: Final = f"""
SELECT {_COLUMNS}, head, (
    SELECT min(again.id) FROM quarantine AS again
    WHERE q.replayed_at IS NOT NULL AND again.id > q.id AND again.sha256 = q.sha256 AND again.topic = q.topic
) AS again_id FROM quarantine AS q WHERE id = $1
"""


async def page(
    connection: asyncpg.Connection,
    *,
    before: int,
    limit: int,
    reason: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    pump_id: str | None = None,
    states: Sequence[str] | None = None,
    seen: list[str] | None = None,
) -> list[asyncpg.Record]:
    """The newest first, without their bytes; `seen`: of pumps of these sites alone. None stands for any."""
    rows: list[asyncpg.Record] = await connection.fetch(
        PAGE, before, reason, since, until, pump_id, states, seen, limit
    )
    return rows


async def one(connection: asyncpg.Connection, number: int) -> asyncpg.Record | None:
    """With its first bytes, and the number under which it was kept aside again, if it was."""
    return await connection.fetchrow(_ONE, number)


_LOCKED: Final = f"SELECT {_STATE} AS state, length, head, reason FROM quarantine WHERE id = $1 FOR UPDATE"
_ASK: Final = "UPDATE quarantine SET replay_asked_at = $2, replay_asked_by = $3 WHERE id = $1"
_ASK_ALL: Final = f"""
UPDATE quarantine SET replay_asked_at = $2, replay_asked_by = $3
WHERE id IN (
    SELECT id FROM quarantine
    WHERE {_STATE} = '{State.KEPT}' AND length = octet_length(head) AND reason = $1
        AND ($4::text IS NULL OR {_PUMP_ID} = $4)
    ORDER BY id LIMIT $5 FOR UPDATE)
"""
_DROP: Final = "UPDATE quarantine SET dropped_at = $2, dropped_by = $3, drop_reason = $4 WHERE id = $1"
_DONE: Final = {
    State.REPLAYING: "it is about to be read again",
    State.REPLAYED: "it was read again",
    State.DROPPED: "it was dropped",
}


async def ask_replay(connection: asyncpg.Connection, number: int, actor: str, now: datetime) -> bool:
    """Have it read again by the ingester. False: there is no such message. Raises AsideRefusedError."""
    async with connection.transaction():
        row = await _kept(connection, number)
        if row is None:
            return False
        if row["length"] != len(row["head"]):
            raise AsideRefusedError(f"only its first {KEPT_BYTES:,} bytes were kept: it cannot be read again")
        await connection.execute(_ASK, number, now, actor)
        await audit(connection, actor, "quarantine_replayed", str(number), {"reason": row["reason"]})
    return True


async def ask_replay_all(
    connection: asyncpg.Connection, reason: str, pump_id: str | None, most: int, actor: str, now: datetime
) -> int:
    """The same with the oldest of a reason, at most so many; how many there were."""
    async with connection.transaction():
        asked = await connection.execute(_ASK_ALL, reason, now, actor, pump_id, most)
        count = int(asked.rpartition(" ")[2])
        if count:
            detail: dict[str, Any] = {"reason": reason, "pump": pump_id, "count": count}
            await audit(connection, actor, "quarantine_replayed", pump_id or "all", detail)
    return count


async def drop(connection: asyncpg.Connection, number: int, why: str, actor: str, now: datetime) -> bool:
    """Say that it is not needed. False: there is no such message. Raises AsideRefusedError."""
    async with connection.transaction():
        if await _kept(connection, number) is None:
            return False
        await connection.execute(_DROP, number, now, actor, why)
        await audit(connection, actor, "quarantine_dropped", str(number), {"why": why})
    return True


async def _kept(connection: asyncpg.Connection, number: int) -> asyncpg.Record | None:
    row = await connection.fetchrow(_LOCKED, number)
    if row is not None and row["state"] != State.KEPT:
        raise AsideRefusedError(_DONE[State(row["state"])])
    return row


# The oldest first, as they came. Of the shards whose pumps they are of; what names no pump is the first shard's.
_ASKED: Final = f"""
SELECT q.id, q.topic, q.head, q.received_at FROM quarantine AS q LEFT JOIN pump AS p ON p.pump_id = {_PUMP_ID}
WHERE replay_asked_at IS NOT NULL AND replayed_at IS NULL AND q.id <> ALL ($1::bigint[])
    AND coalesce(p.shard, 0) = ANY ($2::integer[])
ORDER BY q.id LIMIT $3
"""
_REPLAYED: Final = "UPDATE quarantine SET replayed_at = $2 WHERE id = ANY ($1::bigint[])"


class PostgresReplays:
    """`loops.replaying.ReplayStore`."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock

    async def asked(self, under_way: Collection[int], shards: Collection[int], most: int) -> list[Again]:
        with outages_told():
            rows = await self._pool.fetch(_ASKED, list(under_way), list(shards), most)
        return [
            Again(row["id"], row["topic"].encode(), row["head"], int(row["received_at"].timestamp() * 1000))
            for row in rows
        ]

    async def replayed(self, numbers: Collection[int]) -> None:
        with outages_told():
            await self._pool.execute(_REPLAYED, list(numbers), self._clock())
