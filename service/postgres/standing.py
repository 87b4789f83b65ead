"""What else stands in the tables that somebody must be told? Pumps that nobody has listed, clocks that are off,
readings that are lost, motors that stood still when their pump was last heard, messages whose place cannot be or is
taken, pumps that repeat themselves.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.change import Change, Condition, Turn
from service.core.lifecycle import EPOCH, OUT_OF_SERVICE, AlertWritten
from service.core.limits import LIMITS
from service.core.override import Whose
from service.core.reading import DrugClass
from service.core.rejection import Reason
from service.core.rulebook import Rulebook
from service.core.technical import ClockSaid, Locked, Losses, clock_turn, lock_turn, loss_turn
from service.postgres import repeating, unlisted
from service.postgres.alerts import AlertStore
from service.postgres.layers import layers, limit_sql
from service.postgres.silence import GRACE_AT_LEAST_S, MARKER_FRESH_FOR_S

AT_ONCE: Final = 1_000
_MILLISECOND: Final = timedelta(milliseconds=1)


async def look_once(
    connection: asyncpg.Connection, alert_store: AlertStore, rulebook: Rulebook, now: datetime
) -> list[AlertWritten]:
    """Make these alerts say what the tables say at `now`, at most a thousand of each kind at once."""
    written: list[AlertWritten] = []
    for turns in (
        await _out_of_service(connection, now),
        await _clocks(connection, now),
        await _locks(connection, rulebook, now),
        await _losses(connection, rulebook, now),
        await _aside(connection, now),
        await repeating.turns(connection, now, AT_ONCE),
    ):
        if turns:
            async with connection.transaction():
                written += await alert_store.apply(connection, turns, now)
    return written + await unlisted.look_once(connection, alert_store, now)


# What was told of pumps that are out of service by now: nobody judges them any more.
_OUT_OF_SERVICE: Final = """
SELECT a.pump, a.condition, true AS over, a.last_position + 1 AS position, a.began_at
FROM alert AS a JOIN pump AS p USING (pump)
WHERE a.state = 'active' AND NOT p.in_service AND a.condition = ANY ($1::text[])
LIMIT $2
"""
JUDGED_HERE: Final = (
    Condition.SILENCE,
    Condition.TELEMETRY_LOCK,
    Condition.SEQUENCE_GAP,
    Condition.CLOCK_OFF,
    Condition.UNREGISTERED,
    Condition.IMPLAUSIBLE_BOOT,
    Condition.CONFLICTING_READINGS,
    Condition.REPEATING,
)


async def _out_of_service(connection: asyncpg.Connection, now: datetime) -> list[Change]:
    rows = await connection.fetch(_OUT_OF_SERVICE, JUDGED_HERE, AT_ONCE)
    turns = [_turn(Condition(row["condition"]), row, _ms(row["began_at"]), _ms(now)) for row in rows]
    return [replace(turn, evidence={OUT_OF_SERVICE: 1}) for turn in turns]


# Pumps whose newest clock offset and alert do not agree.
_CLOCK_OFF: Final = """
SELECT o.pump, o.offset_ms, a.id IS NOT NULL AS told, greatest(o.from_position, (
    SELECT max(past.last_position) + 1 FROM alert AS past WHERE past.pump = o.pump AND past.condition = 'clock_off'
)) AS position
FROM (SELECT DISTINCT ON (pump) * FROM clock_offset ORDER BY pump, from_position DESC) AS o
JOIN pump AS p USING (pump)
LEFT JOIN alert AS a ON a.pump = o.pump AND a.condition = 'clock_off' AND a.state <> 'resolved'
WHERE p.in_service AND (o.offset_ms = 0) = (a.id IS NOT NULL) AND (a.id IS NOT NULL OR NOT EXISTS (
    SELECT FROM alert AS past WHERE past.pump = o.pump AND past.condition = 'clock_off'
        AND past.last_position >= o.from_position AND NOT past.evidence ? 'out_of_service'
))
LIMIT $1
"""


async def _clocks(connection: asyncpg.Connection, now: datetime) -> list[Change]:
    rows = await connection.fetch(_CLOCK_OFF, AT_ONCE)
    turns = (clock_turn(ClockSaid(**row), _ms(now)) for row in rows)
    return [turn for turn in turns if turn is not None]


# Pumps whose motor stood still when they were last heard, long ago; and those known as such, heard again. While the
# shard is not caught up, or the pump has had no time to reconnect to it, nobody is called silent.
_LOCKED: Final = f"""
SELECT p.pump, p.pump_id, coalesce(p.site, '') AS site, p.drug_class,
       date_trunc('milliseconds', l.received_at) AS heard_at, stall.id::text AS stall,
       lock.began_at AS locked_at,
       greatest(coalesce(l.position, 0), (
           SELECT max(past.detected_position) + 1 FROM alert AS past
           WHERE past.pump = p.pump AND past.condition = 'telemetry_lock'
       )) AS position,
       least($1::timestamptz, s.marker_at) AS judged_at
FROM alert AS either
JOIN pump AS p USING (pump)
JOIN shard AS s USING (shard)
JOIN pump_latest AS l USING (pump)
LEFT JOIN alert AS stall ON stall.pump = p.pump AND stall.condition = 'stall' AND stall.state = 'active'
LEFT JOIN alert AS lock ON lock.pump = p.pump AND lock.condition = 'telemetry_lock' AND lock.state = 'active'
WHERE either.state = 'active' AND p.in_service AND CASE either.condition
    WHEN 'telemetry_lock' THEN date_trunc('milliseconds', l.received_at) > lock.began_at
    WHEN 'stall' THEN lock.id IS NULL AND s.marker_at > now() - make_interval(secs => $2::float8)
        AND s.marker_at >= s.session_since
        AND s.session_since < $1::timestamptz - make_interval(secs => greatest($5::float8, p.interval_s))
        AND l.received_at < least($1::timestamptz, s.marker_at) - make_interval(secs => {limit_sql("$3")})
    ELSE false END
ORDER BY p.pump LIMIT $4
"""


async def _locks(connection: asyncpg.Connection, rulebook: Rulebook, now: datetime) -> list[Change]:
    after_s = layers(rulebook, Condition.TELEMETRY_LOCK, "after_s")
    turns = []
    for row in await connection.fetch(_LOCKED, now, MARKER_FRESH_FOR_S, after_s, AT_ONCE, GRACE_AT_LEAST_S):
        since_ms = None if row["locked_at"] is None else _ms(row["locked_at"])
        stall = row["stall"] or ""
        pump = Locked(row["pump"], _ms(row["heard_at"]), row["position"], bool(stall), stall, since_ms, _whose(row))
        turns.append(lock_turn(pump, rulebook, _ms(row["judged_at"] if since_ms is None else now)))
    return [turn for turn in turns if turn is not None]


# What each pump has lost for good of late: what it no longer holds, and what was waited for in vain.
_LOST: Final = f"""
WITH recent AS (
    SELECT gap.pump, sum(to_position - from_position + 1)::bigint AS lost, min(noticed_at) AS first_at,
           max(noticed_at) AS newest_at, max(from_position) AS position
    FROM gap JOIN pump AS p USING (pump)
    WHERE closed_at IS NULL AND noticed_at > $1::timestamptz - make_interval(hours => $5::integer)
        AND noticed_at > $1::timestamptz - make_interval(secs => 3600 * {limit_sql("$2")})
    GROUP BY gap.pump
)
SELECT p.pump, p.pump_id, coalesce(p.site, '') AS site, p.drug_class,
       coalesce(r.lost, 0) AS lost, coalesce(r.first_at, a.began_at) AS first_at,
       coalesce(r.newest_at, a.began_at) AS newest_at, a.id IS NOT NULL AS told,
       greatest(coalesce(r.position, 0), (
           SELECT max(past.detected_position) + 1 FROM alert AS past
           WHERE past.pump = p.pump AND past.condition = 'sequence_gap'
       )) AS position
FROM recent AS r
FULL JOIN (SELECT * FROM alert WHERE condition = 'sequence_gap' AND state = 'active') AS a USING (pump)
JOIN pump AS p USING (pump)
WHERE p.in_service AND (a.id IS NULL) = (coalesce(r.lost, 0) >= {limit_sql("$3")})
    AND (a.id IS NULL OR r.lost IS NULL)
ORDER BY p.pump LIMIT $4
"""


async def _losses(connection: asyncpg.Connection, rulebook: Rulebook, now: datetime) -> list[Change]:
    within_h, readings = (layers(rulebook, Condition.SEQUENCE_GAP, name) for name in ("within_h", "readings"))
    longest_h = int(LIMITS[Condition.SEQUENCE_GAP]["within_h"].most)
    turns = []
    for row in await connection.fetch(_LOST, now, within_h, readings, AT_ONCE, longest_h):
        known = (row["pump"], row["lost"], _ms(row["first_at"]), _ms(row["newest_at"]), row["position"], row["told"])
        turns.append(loss_turn(Losses(*known, _whose(row)), rulebook, _ms(now)))
    return [turn for turn in turns if turn is not None]


# What is kept aside of a pump for some reasons is told of: its place in the pump's history cannot be, or it is taken.
_TELLING: Final = {
    Reason.IMPLAUSIBLE_BOOT: Condition.IMPLAUSIBLE_BOOT,
    Reason.CONFLICTS_WITH_STORED: Condition.CONFLICTING_READINGS,
}
# Pumps in whose name such messages came in the last day; and those told of, in whose name none has.
_ASIDE: Final = """
WITH recent AS (
    SELECT substring(topic FROM 'pumps/v1/([A-Za-z0-9_-]{1,64})/') AS pump_id, min(received_at) AS first_at
    FROM quarantine WHERE reason = $3 AND received_at > $1::timestamptz - interval '1 day'
    GROUP BY 1
)
SELECT p.pump, r.pump_id IS NULL AS over, coalesce(r.first_at, a.began_at) AS began_at,
       coalesce((SELECT max(past.detected_position) + 1 FROM alert AS past
                 WHERE past.pump = p.pump AND past.condition = $4), 0) AS position
FROM pump AS p
LEFT JOIN recent AS r USING (pump_id)
LEFT JOIN alert AS a ON a.pump = p.pump AND a.condition = $4 AND a.state <> 'resolved'
WHERE p.in_service AND (r.pump_id IS NULL) = (a.id IS NOT NULL) AND (r.pump_id IS NOT NULL OR a.id IS NOT NULL)
LIMIT $2
"""


async def _aside(connection: asyncpg.Connection, now: datetime) -> Sequence[Change]:
    return [
        _turn(condition, row, _ms(row["began_at"]), _ms(now))
        for reason, condition in _TELLING.items()
        for row in await connection.fetch(_ASIDE, now, AT_ONCE, reason, condition)
    ]


def _turn(condition: Condition, row: asyncpg.Record, began_ms: int, now_ms: int) -> Change:
    return Change(
        pump=row["pump"],
        condition=condition,
        turn=Turn.ENDED if row["over"] else Turn.BEGAN,
        step=1,
        position=row["position"],
        at_ms=now_ms,
        began_ms=began_ms,
        received_ms=now_ms,
    )


def _whose(row: asyncpg.Record) -> Whose:
    return Whose(DrugClass(row["drug_class"]), row["site"], row["pump_id"])


def _ms(at: datetime) -> int:
    return (at - EPOCH) // _MILLISECOND
