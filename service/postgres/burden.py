"""How much is asked of people, and how do they answer? Alerts a pump-day, who was told, and how long answers took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.roster import Contact
from service.postgres import rosters
from service.postgres.seen import of_sites

LONG_STANDING: Final = timedelta(hours=24)
MOST_LISTED: Final = 50

# Alerts by condition; simulated ones only where they are asked for.
_BY_CONDITION: Final = f"""
SELECT condition, priority, count(*) AS alerts, count(*) FILTER (WHERE chattering) AS chattering,
       count(*) FILTER (WHERE inhibited_by IS NOT NULL) AS inhibited, count(*) FILTER (WHERE found_late) AS found_late
FROM alert AS a
WHERE raised_at >= $1 AND raised_at < $2 AND ($3 OR NOT simulated) AND condition <> 'drill' AND {of_sites("$4")}
GROUP BY condition, priority ORDER BY alerts DESC, condition, priority
"""
# From when an alert first asked until a person first answered; those that nobody has answered do not count here.
_ANSWERS: Final = f"""
SELECT count(*) AS asked, count(answered_at) AS answered,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM answered_at - raised_at)) AS p50_s,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM answered_at - raised_at)) AS p90_s
FROM (
    SELECT a.raised_at, (
        SELECT min(h.at) FROM alert_history AS h WHERE h.alert_id = a.id AND h.event = 'acknowledged'
    ) AS answered_at
    FROM alert AS a
    WHERE a.raised_at >= $1 AND a.raised_at < $2 AND ($3 OR NOT a.simulated) AND a.condition <> 'drill'
        AND EXISTS (SELECT FROM notification AS n WHERE n.alert_id = a.id AND n.state <> 'collapsed')
        AND {of_sites("$4")}
) AS asking
"""
_BY_ENDPOINT: Final = f"""
SELECT e.name AS endpoint, count(*) AS told, count(*) FILTER (WHERE n.priority = 'high') AS high,
       count(*) FILTER (WHERE n.kind IN ('escalated', 'repeated', 'reminder')) AS again,
       count(*) FILTER (WHERE n.state = 'failed') AS given_up
FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint JOIN alert AS a ON a.id = n.alert_id
WHERE n.created_at >= $1 AND n.created_at < $2 AND ($3 OR NOT a.simulated) AND n.state <> 'collapsed'
    AND {of_sites("$4")}
GROUP BY e.name ORDER BY told DESC, e.name
"""
_CHATTERING: Final = f"""
SELECT subject, condition, count(*) AS episodes FROM alert AS a
WHERE raised_at >= $1 AND raised_at < $2 AND ($3 OR NOT simulated) AND {of_sites("$4")}
GROUP BY subject, condition HAVING bool_or(chattering) ORDER BY episodes DESC, subject LIMIT $5
"""
_STANDING: Final = f"""
SELECT id, subject, condition, priority, raised_at, acknowledged_by FROM alert AS a
WHERE state <> 'resolved' AND raised_at < $1 AND ($2 OR NOT simulated) AND {of_sites("$3")} ORDER BY raised_at LIMIT $4
"""
_PUMPS: Final = (
    "SELECT count(*) FROM pump WHERE in_service AND ($1 OR NOT simulated) AND ($2::text[] IS NULL OR site = ANY ($2))"
)


@dataclass(frozen=True, slots=True)
class Burden:
    since: datetime
    until: datetime
    pumps: int  # in service now
    alerts: int
    alerts_per_pump_day: float | None
    asked: int  # alerts of which somebody was told
    answered: int
    answer_p50_s: float | None
    answer_p90_s: float | None
    by_condition: Sequence[asyncpg.Record]
    by_endpoint: Sequence[asyncpg.Record]
    by_contact: Sequence[tuple[str, int]]
    chattering: Sequence[asyncpg.Record]
    long_standing: Sequence[asyncpg.Record]


async def burden(
    connection: asyncpg.Connection,
    since: datetime,
    until: datetime,
    *,
    simulated: bool,
    seen: list[str] | None = None,
) -> Burden:
    """Of what was raised and told in a span of our time; `seen`: of these sites alone."""
    span = since, until, simulated, seen
    conditions = await connection.fetch(_BY_CONDITION, *span)
    answers = await connection.fetchrow(_ANSWERS, *span)
    endpoints = await connection.fetch(_BY_ENDPOINT, *span)
    pumps = await connection.fetchval(_PUMPS, simulated, seen)
    alerts = sum(row["alerts"] for row in conditions)
    pump_days = pumps * ((until - since) / timedelta(days=1))
    return Burden(
        since=since,
        until=until,
        pumps=pumps,
        alerts=alerts,
        alerts_per_pump_day=alerts / pump_days if pump_days else None,
        asked=answers["asked"],
        answered=answers["answered"],
        answer_p50_s=answers["p50_s"],
        answer_p90_s=answers["p90_s"],
        by_condition=conditions,
        by_endpoint=endpoints,
        by_contact=await _by_contact(connection, endpoints),
        chattering=await connection.fetch(_CHATTERING, *span, MOST_LISTED),
        long_standing=await connection.fetch(_STANDING, until - LONG_STANDING, simulated, seen, MOST_LISTED),
    )


async def _by_contact(connection: asyncpg.Connection, endpoints: Sequence[asyncpg.Record]) -> list[tuple[str, int]]:
    """What came to the endpoints of each contact, as the roster is now."""
    told = {row["endpoint"]: row["told"] for row in endpoints}
    contacts = [rosters.decoded("contact", row["document"]) for row in await rosters.kept(connection, "contact")]
    counted = [(c.name, sum(told.get(e, 0) for e in c.endpoints)) for c in contacts if isinstance(c, Contact)]
    return sorted(counted, key=lambda each: (-each[1], each[0]))
