"""How is the canary? Its pump, its endpoint, its rounds: a fault each, and how far each has come."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from service.core.canary import PUMP_ID

_NEWEST: Final = """
SELECT c.within_s, c.asked_at, c.every_s, r.number, r.begun_at, r.arrived_at
FROM canary AS c
LEFT JOIN LATERAL (
    SELECT * FROM canary_round
    WHERE arrived_at IS NOT NULL OR begun_at <= $1::timestamptz - make_interval(secs => c.within_s)
    ORDER BY begun_at DESC LIMIT 1
) AS r ON true
WHERE c.every_s > 0
"""
# How far a fault has come: what is stored of it, and what was tried.
_HOW_FAR: Final = """
SELECT EXISTS (
           SELECT FROM event JOIN pump USING (pump) WHERE pump_id = $1 AND measured_at = $2
       ) AS stored,
       a.id IS NOT NULL AS raised,
       (SELECT t.outcome || coalesce(' ' || t.status, '')
        FROM notification AS n JOIN attempt AS t ON t.notification_id = n.id
        WHERE n.alert_id = a.id ORDER BY t.at DESC LIMIT 1) AS outcome,
       EXISTS (SELECT FROM notification AS n WHERE n.alert_id = a.id) AS told
FROM (SELECT 1) AS one
LEFT JOIN alert AS a ON a.subject = 'pump:' || $1 AND a.condition = 'battery_reset' AND a.detected_at = $2
"""


class Lost(NamedTuple):
    since: datetime
    within_s: float
    reason: str


async def lost(connection: asyncpg.Connection, now: datetime) -> Lost | None:
    """The newest fault that should have arrived and has not; or that there is none although one is due."""
    row = await connection.fetchrow(_NEWEST, now)
    if row is None:
        return None
    within_s = row["within_s"]
    begun_at = row["begun_at"] or row["asked_at"]
    overdue = now - begun_at > timedelta(seconds=2 * row["every_s"] + 2 * within_s)
    if row["number"] is not None and row["arrived_at"] is None:
        return Lost(begun_at, within_s, await _how_far(connection, begun_at))
    if overdue:
        return Lost(begun_at, within_s, "was the last: none has been sent since")
    return None


async def _how_far(connection: asyncpg.Connection, begun_at: datetime) -> str:
    row = await connection.fetchrow(_HOW_FAR, PUMP_ID, begun_at)
    if row["outcome"] is not None:
        return f"was sent to its endpoint, and has not arrived ({row['outcome']})"
    if row["told"]:
        return "was to be sent to its endpoint, and nobody has tried"
    if row["raised"]:
        return "raised an alert that nobody was to be told of"
    return "was stored, and raised no alert" if row["stored"] else "was not stored"
