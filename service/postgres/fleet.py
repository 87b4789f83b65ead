"""What does the whole fleet say? The latest of every pump in pages, and what is counted of all of them."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from service.core.census import Counted
from service.postgres.seen import of_sites

RATE_OVER: Final = timedelta(minutes=5)

# The latest of the pumps after an id, of a site or of all.
_LATEST: Final = """
SELECT p.pump_id, l.received_at, l.measured_at, l.position, l.mode, l.program_ml_d, l.flow_ml_d, l.reservoir_ml,
       l.battery_v
FROM pump AS p JOIN pump_latest AS l USING (pump)
WHERE p.pump_id > $1 AND l.position IS NOT NULL AND p.site = $3
ORDER BY p.pump_id LIMIT $2
"""
LATEST_OF_SITE: Final = _LATEST
LATEST_OF_SITES: Final = _LATEST.replace("p.site = $3", "p.site = ANY ($3::text[])")
LATEST: Final = _LATEST.replace(" AND p.site = $3", "")

# Every pump, as far as it is counted.
COUNTED: Final = """
SELECT p.pump_id, p.site, p.drug_class, p.interval_s::float8, p.flow_channel, p.reservoir_channel,
       p.bolus_daily_cap_ul IS NOT NULL AS bolus_cap, coalesce(l.program_ml_d, 0) > 0 AS programmed,
       p.registered, p.in_service, l.received_at AS last_heard_at, s.silent_since, v.written
FROM pump AS p
LEFT JOIN pump_latest AS l USING (pump)
LEFT JOIN (
    SELECT pump, min(began_at) AS silent_since FROM alert
    WHERE condition = 'silence' AND state = 'active' AND pump IS NOT NULL GROUP BY pump
) AS s USING (pump)
LEFT JOIN (
    SELECT pump, jsonb_object_agg(condition, verdict)::text AS written FROM verdict
    WHERE verdict <> 'does_not_hold' GROUP BY pump
) AS v USING (pump)
WHERE p.erased_at IS NULL AND ($1::text[] IS NULL OR p.site = ANY ($1))
"""
_ALERTS: Final = f"""
SELECT priority, state, count(*) AS alerts, count(*) FILTER (WHERE acknowledged_at IS NULL) AS unanswered
FROM alert AS a WHERE state <> 'resolved' AND {of_sites("$1")} GROUP BY 1, 2
"""
# What was measured of late: a short look into the index for each pump that was heard of late.
RATE: Final = """
SELECT coalesce(sum(said.readings), 0)::bigint FROM pump_latest AS l CROSS JOIN LATERAL (
    SELECT count(*) AS readings FROM reading WHERE reading.pump = l.pump AND measured_at >= $1 AND measured_at < $2
) AS said
WHERE l.received_at >= $1
    AND ($3::text[] IS NULL OR EXISTS (SELECT FROM pump AS p WHERE p.pump = l.pump AND p.site = ANY ($3)))
"""


async def latest(
    connection: asyncpg.Connection, *, after: str, sites: list[str] | None, limit: int
) -> list[asyncpg.Record]:
    """Of the pumps of which a reading is known, after the id `after`, in the order of their ids; None: of all sites."""
    if sites is None:
        return list(await connection.fetch(LATEST, after, limit))
    if len(sites) == 1:  # in the order of an index
        return list(await connection.fetch(LATEST_OF_SITE, after, limit, sites[0]))
    return list(await connection.fetch(LATEST_OF_SITES, after, limit, sites))


class Fleet(NamedTuple):
    pumps: list[Counted]
    open_alerts: list[asyncpg.Record]  # priority, state, alerts, unanswered
    readings_per_s: float


async def fleet(connection: asyncpg.Connection, now: datetime, sites: list[str] | None = None) -> Fleet:
    """Of these sites alone, or of all."""
    rows = await connection.fetch(COUNTED, sites)
    measured = await connection.fetchval(RATE, now - RATE_OVER, now, sites)
    pumps = [Counted(**{**row, "written": _written(row["written"])}) for row in rows]
    return Fleet(pumps, await connection.fetch(_ALERTS, sites), measured / RATE_OVER.total_seconds())


def _written(text: str | None) -> dict[str, Any]:
    return {} if text is None else msgspec.json.decode(text, type=dict[str, str])
