"""What does the board show of everybody? A page of the fleet, the most urgent first, and how the pipeline is."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg


class Chosen(NamedTuple):
    """What of the fleet is wanted."""

    q: str
    """A part of the id, in any case."""
    site: str | None
    state: str
    """open, silent, low, fine; empty: all."""
    sites: Sequence[str] | None
    """Those that the visitor may see; None: all, and pumps of no site."""
    skip: int
    limit: int


# Each pump in service with the worst of what is open; silent by its alert, so that the board says what the rules say.
_PUMPS: Final = """
WITH open AS (
    SELECT pump, min(CASE priority WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END) AS rank,
           string_agg(condition, ', ' ORDER BY condition) AS conditions,
           bool_or(condition IN ('silence', 'site_silence') AND state = 'active') AS silent,
           bool_or(condition IN ('reservoir_low', 'reservoir_empty')) AS low
    FROM alert WHERE state <> 'resolved' AND pump IS NOT NULL GROUP BY pump
)
SELECT p.pump_id, p.site, (ARRAY['high', 'medium', 'low'])[open.rank] AS worst, open.conditions,
       coalesce(open.silent, false) AS silent, l.received_at, l.mode, l.program_ml_d, l.flow_ml_d, l.reservoir_ml,
       l.battery_v, l.empty_nominal_d - extract(epoch FROM $1::timestamptz - l.measured_at)::float8 / 86400 AS empty_d,
       count(*) OVER () AS total
FROM pump AS p LEFT JOIN pump_latest AS l USING (pump) LEFT JOIN open USING (pump)
WHERE p.in_service AND p.erased_at IS NULL AND ($2 = '' OR position(lower($2) IN lower(p.pump_id)) > 0)
    AND ($3::text IS NULL OR p.site = $3) AND ($4::text[] IS NULL OR p.site = ANY ($4))
    AND CASE $5 WHEN 'open' THEN open.rank IS NOT NULL WHEN 'silent' THEN open.silent WHEN 'low' THEN open.low
                WHEN 'fine' THEN open.rank IS NULL AND l.received_at IS NOT NULL ELSE true END
ORDER BY open.rank NULLS LAST, p.pump_id LIMIT $6 OFFSET $7
"""


async def pumps(connection: asyncpg.Connection, chosen: Chosen, now: datetime) -> list[asyncpg.Record]:
    """`total` is of all that were chosen, also beyond this page."""
    rows: list[asyncpg.Record] = await connection.fetch(
        _PUMPS, now, chosen.q, chosen.site, chosen.sites, chosen.state, chosen.limit, chosen.skip
    )
    return rows


async def sites(connection: asyncpg.Connection) -> list[str]:
    return [row["site"] for row in await connection.fetch("SELECT site FROM site ORDER BY site")]


class Pipeline(NamedTuple):
    figures: Mapping[str, str]
    roles: Sequence[asyncpg.Record]
    shards: Sequence[asyncpg.Record]
    quarantine: Sequence[asyncpg.Record]
    endpoints: Sequence[asyncpg.Record]


_FIGURES: Final = """
SELECT (SELECT count(*) FROM pump WHERE in_service) AS in_service,
       (SELECT count(*) FROM pump_latest WHERE received_at > $1::timestamptz - interval '2 minutes') AS heard,
       (SELECT count(*) FROM alert WHERE state <> 'resolved' AND inhibited_by IS NULL) AS open,
       (SELECT count(*) FROM notification WHERE state = 'pending') AS waiting,
       (SELECT count(*) FROM undelivered_page) AS undelivered
"""
_ROLES: Final = "SELECT role, instance, at, ready, reason FROM role_heartbeat WHERE at > $1 ORDER BY role, instance"
_SHARDS: Final = "SELECT shard, owner, marker_at, reason FROM shard ORDER BY shard"
_QUARANTINE: Final = """
SELECT reason, count(*) AS messages, max(received_at) AS last_at FROM quarantine
WHERE received_at > $1 GROUP BY reason ORDER BY messages DESC LIMIT 20
"""
_ENDPOINTS: Final = """
SELECT e.name AS endpoint, count(*) FILTER (WHERE n.state = 'delivered') AS delivered,
       count(*) FILTER (WHERE n.state = 'pending') AS pending, count(*) FILTER (WHERE n.state = 'failed') AS failed
FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint WHERE n.created_at > $1 GROUP BY e.name ORDER BY e.name
"""


async def pipeline(connection: asyncpg.Connection, now: datetime) -> Pipeline:
    day = now - timedelta(days=1)
    row = await connection.fetchrow(_FIGURES, now)
    return Pipeline(
        figures={
            "Pumps in service": f"{row['in_service']:,}",
            "Heard in two minutes": f"{row['heard']:,}",
            "Open alerts": f"{row['open']:,}",
            "Notifications waiting": f"{row['waiting']:,}",
            "Pages not delivered": f"{row['undelivered']:,}",
        },
        roles=await connection.fetch(_ROLES, now - timedelta(minutes=10)),
        shards=await connection.fetch(_SHARDS),
        quarantine=await connection.fetch(_QUARANTINE, day),
        endpoints=await connection.fetch(_ENDPOINTS, day),
    )
