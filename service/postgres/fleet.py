"""What does the whole fleet say? The latest of every pump in pages, and what is counted of all of them."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from service.core.census import Alike
from service.core.rulebook import Rulebook
from service.postgres.layers import limit_sql, silence_layers
from service.postgres.seen import of_sites

OF_LATE: Final = timedelta(minutes=5)

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

# Pumps that share what is counted of them, together. Heard: no longer ago than the rules of each allow.
COUNTED: Final = f"""
SELECT count(*) AS pumps, site, flow_channel, reservoir_channel, bolus_cap, programmed, registered, in_service,
       ever_heard, heard, silent, written, min(received_at) AS longest_unheard_at,
       coalesce(sum(1 / interval_s) FILTER (WHERE received_at >= $5), 0)::float8 AS expected_per_s
FROM (
    SELECT p.site, p.flow_channel, p.reservoir_channel, p.bolus_daily_cap_ul IS NOT NULL AS bolus_cap,
           coalesce(l.program_ml_d, 0) > 0 AS programmed, p.registered, p.in_service, p.interval_s, l.received_at,
           l.received_at IS NOT NULL AS ever_heard,
           coalesce(l.received_at >= $2::timestamptz
               - make_interval(secs => greatest({limit_sql("$3")} * p.interval_s, {limit_sql("$4")})), false) AS heard,
           s.pump IS NOT NULL AS silent, coalesce(v.written, '{{}}') AS written
    FROM pump AS p
    LEFT JOIN pump_latest AS l USING (pump)
    LEFT JOIN (
        SELECT DISTINCT pump FROM alert WHERE condition = 'silence' AND state = 'active' AND pump IS NOT NULL
    ) AS s USING (pump)
    LEFT JOIN (
        SELECT pump, jsonb_object_agg(condition, verdict)::text AS written FROM verdict
        WHERE verdict <> 'does_not_hold' GROUP BY pump
    ) AS v USING (pump)
    WHERE p.erased_at IS NULL AND ($1::text[] IS NULL OR p.site = ANY ($1))
) AS each
GROUP BY site, flow_channel, reservoir_channel, bolus_cap, programmed, registered, in_service, ever_heard, heard,
    silent, written
"""
_ALERTS: Final = f"""
SELECT priority, state, count(*) AS alerts, count(*) FILTER (WHERE acknowledged_at IS NULL) AS unanswered
FROM alert AS a WHERE state <> 'resolved' AND {of_sites("$1")} GROUP BY 1, 2
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
    groups: list[Alike]
    open_alerts: list[asyncpg.Record]  # priority, state, alerts, unanswered
    readings_expected_per_s: float


async def fleet(
    connection: asyncpg.Connection, rulebook: Rulebook, now: datetime, sites: list[str] | None = None
) -> Fleet:
    """Of these sites alone, or of all."""
    rows = await connection.fetch(COUNTED, *counted_by(rulebook, now, sites))
    expected_per_s = sum(row["expected_per_s"] for row in rows)
    return Fleet([_group(row) for row in rows], await connection.fetch(_ALERTS, sites), expected_per_s)


def counted_by(rulebook: Rulebook, now: datetime, sites: list[str] | None) -> tuple[object, ...]:
    """The parameters of `COUNTED`."""
    return sites, now, *silence_layers(rulebook), now - OF_LATE


def _group(row: asyncpg.Record) -> Alike:
    facts: dict[str, Any] = {name: row[name] for name in Alike._fields}
    return Alike(**facts | {"written": msgspec.json.decode(row["written"], type=dict[str, str])})
