"""What else stands in the tables that somebody must be told? A pump that nobody has listed, a clock that is off."""

from datetime import datetime
from typing import Final

import asyncpg

from service.core.change import Change, Condition, Turn
from service.core.lifecycle import EPOCH, AlertWritten
from service.postgres.alerts import AlertStore

AT_ONCE: Final = 1_000

# Pumps whose registration and alert do not agree.
_UNREGISTERED: Final = """
SELECT p.pump, p.registered AS over, coalesce(l.position, 0) AS position, p.enrolled_at AS began_at,
       NULL::bigint AS offset_ms
FROM pump AS p LEFT JOIN pump_latest AS l USING (pump)
LEFT JOIN alert AS a ON a.pump = p.pump AND a.condition = 'unregistered' AND a.state <> 'resolved'
WHERE p.in_service AND p.registered = (a.id IS NOT NULL)
LIMIT $1
"""
# Pumps whose newest clock offset and alert do not agree.
_CLOCK_OFF: Final = """
SELECT o.pump, o.offset_ms = 0 AS over, o.from_position AS position, NULL::timestamptz AS began_at, o.offset_ms
FROM (SELECT DISTINCT ON (pump) * FROM clock_offset ORDER BY pump, from_position DESC) AS o
JOIN pump AS p USING (pump)
LEFT JOIN alert AS a ON a.pump = o.pump AND a.condition = 'clock_off' AND a.state <> 'resolved'
WHERE p.in_service AND (o.offset_ms = 0) = (a.id IS NOT NULL) AND NOT EXISTS (
    SELECT FROM alert AS past
    WHERE past.pump = o.pump AND past.condition = 'clock_off' AND past.last_position >= o.from_position
)
LIMIT $1
"""


async def look_once(connection: asyncpg.Connection, alert_store: AlertStore, now: datetime) -> list[AlertWritten]:
    """Make these alerts say what the tables say at `now`, at most a thousand of each kind at once."""
    written: list[AlertWritten] = []
    for condition, query in ((Condition.UNREGISTERED, _UNREGISTERED), (Condition.CLOCK_OFF, _CLOCK_OFF)):
        rows = await connection.fetch(query, AT_ONCE)
        async with connection.transaction():
            written += await alert_store.apply(connection, [_turn(condition, row, now) for row in rows], now)
    return written


def _turn(condition: Condition, row: asyncpg.Record, now: datetime) -> Change:
    now_ms = round((now - EPOCH).total_seconds() * 1000)
    began_ms = now_ms if row["began_at"] is None else round((row["began_at"] - EPOCH).total_seconds() * 1000)
    return Change(
        pump=row["pump"],
        condition=condition,
        turn=Turn.ENDED if row["over"] else Turn.BEGAN,
        step=1,
        position=row["position"],
        at_ms=now_ms,
        began_ms=began_ms,
        received_ms=now_ms,
        evidence={} if row["offset_ms"] is None else {"offset_ms": row["offset_ms"]},
    )
