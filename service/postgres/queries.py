"""What do the views ask of pumps? Pages of pumps, readings, gaps and events, each by one query over an index."""

from datetime import datetime
from typing import Final

import asyncpg

# What a pump is, said last, and has open. `real` goes through its shortest text, so 20.3 stays 20.3.
_PUMPS = """
SELECT p.pump, p.pump_id, p.site, p.time_zone, p.model, p.flow_channel, p.reservoir_channel,
       p.capacity_ml::text::float8 AS capacity_ml, p.drug, p.drug_class,
       p.concentration_ug_ml::text::float8 AS concentration_ug_ml, p.interval_s::text::float8 AS interval_s,
       p.next_refill_on, p.bolus_daily_cap_ul::text::float8 AS bolus_daily_cap_ul, p.implanted_on,
       p.in_service, p.registered, p.simulated, p.version, p.updated_at,
       l.received_at, l.measured_at, l.position, l.program_ml_d, l.flow_ml_d, l.reservoir_ml, l.battery_v, l.mode,
       l.empty_judged, l.empty_nominal_d, l.empty_conservative_d, l.empty_optimistic_d,
       a.open_alerts, a.silent_since, v.written,
       p.mri_from_at, p.mri_until_at, away.absent_from_at, away.absent_until_at,
       (SELECT s.pump_id FROM care AS c JOIN pump AS s ON s.pump = c.successor
        WHERE c.pump = p.pump AND c.kind = 'exchange') AS replaced_by,
       (SELECT o.pump_id FROM care AS c JOIN pump AS o ON o.pump = c.pump WHERE c.successor = p.pump) AS replaces
FROM ({chosen}) AS p
LEFT JOIN pump_latest AS l ON l.pump = p.pump
CROSS JOIN LATERAL (
    SELECT count(*) AS open_alerts,
           min(began_at) FILTER (WHERE condition = 'silence' AND state = 'active') AS silent_since
    FROM alert WHERE alert.pump = p.pump AND state <> 'resolved'
) AS a
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(condition, jsonb_build_array(verdict, since)), '{{}}')::text AS written
    FROM verdict WHERE verdict.pump = p.pump
) AS v
LEFT JOIN LATERAL (
    SELECT from_at AS absent_from_at, until_at AS absent_until_at FROM care
    WHERE care.pump = p.pump AND kind = 'absence' AND ended_at IS NULL ORDER BY until_at DESC LIMIT 1
) AS away ON true
ORDER BY p.pump_id
"""
_PAGE_OF_PUMPS = _PUMPS.format(
    chosen="""
    SELECT * FROM pump
    WHERE erased_at IS NULL AND pump_id > $1 AND ($2::text IS NULL OR site = $2)
        AND ($3::text IS NULL OR position(lower($3) IN lower(pump_id)) > 0)
        AND ($5::text IS NULL OR EXISTS (
            SELECT FROM verdict WHERE verdict.pump = pump.pump AND condition = $5 AND verdict = 'holds'))
        AND ($6::float8 IS NULL OR EXISTS (
            SELECT FROM pump_latest AS l WHERE l.pump = pump.pump AND empty_judged
                AND empty_conservative_d - date_part('epoch', $7::timestamptz - l.measured_at) / 86400 <= $6))
        AND ($8::text[] IS NULL OR site = ANY ($8))
    ORDER BY pump_id LIMIT $4"""
)
_ONE_PUMP = _PUMPS.format(chosen="SELECT * FROM pump WHERE pump_id = $1 AND erased_at IS NULL")


async def pumps(
    connection: asyncpg.Connection,
    *,
    after: str,
    site: str | None,
    q: str | None,
    limit: int,
    holding: str | None = None,
    low_in_d: float | None = None,
    now: datetime | None = None,
    seen: list[str] | None = None,
) -> list[asyncpg.Record]:
    """Pumps after the id `after`, in the order of their ids; `q` is a part of the id, in any case.

    `seen`: of these sites alone.
    `holding`: a condition that was written to hold. `low_in_d`: it may be empty within so many days of `now`.
    `written` is JSON text: {condition: [verdict, since]}.
    """
    rows: list[asyncpg.Record] = await connection.fetch(
        _PAGE_OF_PUMPS, after, site, q, limit, holding, low_in_d, now, seen
    )
    return rows


async def pump(connection: asyncpg.Connection, pump_id: str) -> asyncpg.Record | None:
    """The same of one pump; None if there is no such."""
    return await connection.fetchrow(_ONE_PUMP, pump_id)


_KEY = "SELECT pump FROM pump WHERE pump_id = $1 AND erased_at IS NULL"


async def key_of(connection: asyncpg.Connection, pump_id: str) -> int | None:
    key: int | None = await connection.fetchval(_KEY, pump_id)
    return key


# A page of the fleet's keys.
_KEYS_AFTER = "SELECT pump_id, pump FROM pump WHERE pump_id > $1 AND erased_at IS NULL ORDER BY pump_id LIMIT $2"


async def keys_after(connection: asyncpg.Connection, after: str, limit: int) -> list[asyncpg.Record]:
    """(pump_id, pump) of the pumps after the id `after`."""
    rows: list[asyncpg.Record] = await connection.fetch(_KEYS_AFTER, after, limit)
    return rows


# Readings of a span, oldest first, after the (time, position) where the page before ended.
_READINGS = """
SELECT measured_at, received_at, position, mode, program_ml_d, flow_ml_d, reservoir_ml, battery_v, delivered_ul
FROM reading
WHERE pump = $1 AND measured_at >= $2 AND measured_at < $3 AND (measured_at, position) > ($4, $5)
ORDER BY measured_at, position LIMIT $6
"""


async def readings(
    connection: asyncpg.Connection,
    key: int,
    *,
    since: datetime,
    until: datetime,
    after: tuple[datetime, int],
    limit: int,
) -> list[asyncpg.Record]:
    """Readings measured from `since` to before `until`."""
    since = max(since, after[0])  # days before the page before ended are left alone
    rows: list[asyncpg.Record] = await connection.fetch(_READINGS, key, since, until, *after, limit)
    return rows


# Events newest first, in the pump's own order, before the position where the page before ended.
_EVENTS = """
SELECT position, type, measured_at, received_at, body::text AS body
FROM event
WHERE pump = $1 AND position < $2 AND ($3::timestamptz IS NULL OR measured_at >= $3)
    AND ($4::timestamptz IS NULL OR measured_at < $4) AND ($5::text IS NULL OR type = $5)
ORDER BY position DESC LIMIT $6
"""


async def events(
    connection: asyncpg.Connection,
    key: int,
    *,
    before: int,
    since: datetime | None,
    until: datetime | None,
    kind: str | None,
    limit: int,
) -> list[asyncpg.Record]:
    """`body` is the JSON text of what the pump said."""
    rows: list[asyncpg.Record] = await connection.fetch(_EVENTS, key, before, since, until, kind, limit)
    return rows


# Gaps newest first, before the position where the page before ended.
_GAPS = """
SELECT from_position, to_position, noticed_at, closed_at, lost
FROM gap
WHERE pump = $1 AND from_position < $2
ORDER BY from_position DESC LIMIT $3
"""


async def gaps(connection: asyncpg.Connection, key: int, *, before: int, limit: int) -> list[asyncpg.Record]:
    """Spans of positions that did not come in order, both ends included."""
    rows: list[asyncpg.Record] = await connection.fetch(_GAPS, key, before, limit)
    return rows


TOPIC_OF: Final = r"substring({topic} FROM '^(?:shard/[0-9]+/)?pumps/v1/([A-Za-z0-9_-]{{1,64}})/')"
"""The id of the pump that a topic names; {topic} is the SQL of the topic."""

# What was kept aside, newest first, without its bytes.
_QUARANTINE = f"""
SELECT id, received_at, topic, reason, detail, length, sha256
FROM quarantine
WHERE id < $1 AND ($2::text IS NULL OR reason = $2) AND ($3::timestamptz IS NULL OR received_at >= $3)
    AND ($5::text IS NULL OR {TOPIC_OF.format(topic="topic")} = $5)
    AND ($6::text[] IS NULL OR EXISTS (
        SELECT FROM pump WHERE pump_id = {TOPIC_OF.format(topic="topic")} AND site = ANY ($6)))
ORDER BY id DESC LIMIT $4
"""


async def quarantine(
    connection: asyncpg.Connection,
    *,
    before: int,
    reason: str | None,
    since: datetime | None,
    limit: int,
    pump_id: str | None = None,
    seen: list[str] | None = None,
) -> list[asyncpg.Record]:
    """`seen`: of pumps of these sites alone."""
    rows: list[asyncpg.Record] = await connection.fetch(_QUARANTINE, before, reason, since, limit, pump_id, seen)
    return rows


_QUARANTINED = "SELECT id, received_at, topic, reason, detail, length, sha256, head FROM quarantine WHERE id = $1"


async def quarantined(connection: asyncpg.Connection, number: int) -> asyncpg.Record | None:
    """One message that was kept aside, with its first bytes."""
    return await connection.fetchrow(_QUARANTINED, number)
