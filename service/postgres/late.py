"""Where do readings wait that came after the lateness horizon? Beside the others, which are compressed by then, until
they are merged: a pump's day at a time, so that nobody waits long for it.

Who reads sees both: the view `reading` is their union.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import asyncpg

from service.core.rejection import Reason, Rejection, one_line
from service.ports import Merged, RawMessage, Token, Waiting
from service.postgres.partitions import is_plain, make_ahead
from service.postgres.quarantine import keep

# Days of pumps of which something waits, the oldest first.
_WAITING: Final = """
    SELECT pump, pump_id, date_bin('1 day', measured_at, '2000-01-01Z') AS since
    FROM late_reading JOIN pump USING (pump)
    WHERE measured_at < $1 GROUP BY 1, 2, 3 ORDER BY 3, 1 LIMIT $2
"""
# Without the other bound TimescaleDB refuses what touches very many compressed rows; plain PostgreSQL does not know it.
_BOUNDS: Final = """
    SET LOCAL lock_timeout = '2s';
    SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0
"""
_COMPARED: Final = ("program_100nl_d", "flow_100nl_d", "reservoir_ul", "battery_mv", "mode", "delivered_10nl")
# The first that wait of a pump's day.
_SLICE: Final = """
    SELECT * FROM late_reading WHERE pump = $1 AND measured_at >= $2 AND measured_at < $3
    ORDER BY measured_at, position LIMIT $4 FOR UPDATE SKIP LOCKED
"""
# What is stored there already. The bounds say at once which partition or chunk is meant.
_STORED: Final = """
    SELECT * FROM stored_reading WHERE pump = $1 AND measured_at BETWEEN $2 AND $3 AND position = ANY ($4::bigint[])
"""
# They leave, and are stored where they are not yet.
_MERGE: Final = """
    WITH gone AS (
        DELETE FROM late_reading WHERE pump = $1 AND measured_at BETWEEN $2 AND $3 AND position = ANY ($4::bigint[])
        RETURNING *
    )
    INSERT INTO stored_reading SELECT * FROM gone ON CONFLICT DO NOTHING
"""


async def waiting(connection: asyncpg.Connection, until: date, most: int) -> list[Waiting]:
    """Days of pumps, before `until`, of which something waits, the oldest first."""
    rows = await connection.fetch(_WAITING, datetime.combine(until, time(), UTC), most)
    return [Waiting(row["pump"], row["pump_id"], row["since"].date()) for row in rows]


async def merge(connection: asyncpg.Connection, slot: Waiting, most: int, now: datetime) -> Merged:
    """Merge at most so many readings of a pump's day. What is stored with other values already is kept aside."""
    if await is_plain(connection):
        await make_ahead(connection, slot.day, slot.day)
    since = datetime.combine(slot.day, time(), UTC)
    async with connection.transaction():
        await connection.execute(_BOUNDS)
        ours = await connection.fetch(_SLICE, slot.key, since, since + timedelta(days=1), most)
        if not ours:
            return Merged(0, 0, 0)
        bounds = (slot.key, ours[0]["measured_at"], ours[-1]["measured_at"], [row["position"] for row in ours])
        stored = {(row["measured_at"], row["position"]): row for row in await connection.fetch(_STORED, *bounds)}
        both = [(row, stored[key]) for row in ours if (key := (row["measured_at"], row["position"])) in stored]
        conflicts = [(mine, theirs) for mine, theirs in both if _values(mine) != _values(theirs)]
        await keep(connection, [_aside(slot.pump_id, *pair, now) for pair in conflicts])
        await connection.execute(_MERGE, *bounds)
    return Merged(len(ours) - len(both), len(both) - len(conflicts), len(conflicts))


def _values(row: asyncpg.Record) -> Sequence[object]:
    return [row[name] for name in _COMPARED]


def _aside(pump_id: str, mine: asyncpg.Record, theirs: asyncpg.Record, now: datetime) -> tuple[RawMessage, Rejection]:
    """What came, as it was stored: the message itself is long settled."""
    said = [f"{name} is {mine[name]}, stored is {theirs[name]}" for name in _COMPARED if mine[name] != theirs[name]]
    came_ms = round(now.timestamp() * 1000)
    message = RawMessage(Token(0, 0), f"pumps/v1/{pump_id}/telemetry".encode(), str(dict(mine)).encode(), came_ms)
    return message, Rejection(0, Reason.CONFLICTS_WITH_STORED, one_line("; ".join(said)))
