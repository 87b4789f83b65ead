"""Which pumps does the fleet page show? One page of them by what is chosen and sorted, and a day of flow of each."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from service.core.rulebook import Rulebook
from service.postgres.layers import limit_sql, silence_layers

A_DAY: Final = timedelta(days=1)
SORTS: Final = {
    "urgency": "rank NULLS LAST, unknown DESC, pump_id",
    "pump": "pump_id",
    "site": "site NULLS LAST, pump_id",
    "empty": "empty_d NULLS LAST, pump_id",
    "battery": "battery_v NULLS LAST, pump_id",
    "heard": "received_at NULLS FIRST, pump_id",
}
"""By what a page can be sorted: always what asks for attention first."""


class Chosen(NamedTuple):
    """What of the fleet is wanted; empty and None: all of it."""

    q: str
    """A part of the id, in any case."""
    site: str | None
    state: str
    """open, unknown, fine, out."""
    holding: str | None
    """A condition that holds."""
    low_in_d: float | None
    """It may be empty within so many days, at the earliest."""
    sites: Sequence[str] | None
    """Those that the visitor may see; None: all, and pumps of no site."""
    sort: str
    skip: int
    limit: int


# Each pump with the worst of what is open. Unknown: not heard for longer than its rules allow, whether or not that was
# judged yet; such a pump is never among those that are fine.
_FLEET: Final = f"""
WITH open AS (
    SELECT pump, min(CASE priority WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END) AS rank,
           string_agg(condition, ', ' ORDER BY CASE priority WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END,
                      condition) AS conditions,
           bool_or(acknowledged_at IS NULL AND inhibited_by IS NULL) AS unanswered,
           bool_or(condition = 'silence' AND state = 'active') AS silent
    FROM alert WHERE state <> 'resolved' AND {{of_alerts}} GROUP BY pump
), fleet AS (
    SELECT p.pump, p.pump_id, p.site, p.in_service, (ARRAY['high', 'medium', 'low'])[open.rank] AS worst, open.rank,
           open.conditions, coalesce(open.unanswered, false) AS unanswered, coalesce(open.silent, false) AS silent,
           l.received_at, l.mode, l.program_ml_d, l.flow_ml_d, l.reservoir_ml, l.battery_v,
           p.in_service AND (coalesce(open.silent, false) OR l.received_at IS NULL OR l.received_at
               < $1::timestamptz - make_interval(secs => greatest({limit_sql("$2")} * p.interval_s, {limit_sql("$3")}))
           ) AS unknown,
           CASE WHEN l.empty_judged THEN
               l.empty_conservative_d - extract(epoch FROM $1::timestamptz - l.measured_at)::float8 / 86400
           END AS empty_d
    FROM pump AS p LEFT JOIN pump_latest AS l USING (pump) LEFT JOIN open USING (pump)
    WHERE p.erased_at IS NULL AND {{of_pumps}}
)
SELECT *, count(*) OVER () AS total FROM fleet
"""
_CHOSEN: Final = """
WHERE ($4 = '' OR position(lower($4) IN lower(pump_id)) > 0) AND ($5::text IS NULL OR site = $5)
    AND ($6::text[] IS NULL OR site = ANY ($6))
    AND CASE $7 WHEN 'open' THEN rank IS NOT NULL WHEN 'unknown' THEN unknown WHEN 'out' THEN NOT in_service
                WHEN 'fine' THEN in_service AND rank IS NULL AND NOT unknown ELSE in_service END
    AND ($8::text IS NULL OR EXISTS (
        SELECT FROM verdict WHERE verdict.pump = fleet.pump AND condition = $8 AND verdict = 'holds'))
    AND ($9::float8 IS NULL OR empty_d <= $9)
ORDER BY {sort} LIMIT $10 OFFSET $11
"""
_PUMPS: Final = _FLEET.format(of_alerts="pump IS NOT NULL", of_pumps="true") + _CHOSEN
_NAMED: Final = _FLEET.format(of_alerts="pump = ANY ($4::integer[])", of_pumps="p.pump = ANY ($4::integer[])")


async def pumps(
    connection: asyncpg.Connection, chosen: Chosen, rulebook: Rulebook, now: datetime
) -> list[asyncpg.Record]:
    """`total` is of all that were chosen, also beyond this page."""
    rows: list[asyncpg.Record] = await connection.fetch(
        _PUMPS.replace("{sort}", SORTS[chosen.sort]),
        *(now, *silence_layers(rulebook)),
        *(chosen.q, chosen.site, chosen.sites, chosen.state, chosen.holding, chosen.low_in_d),
        *(chosen.limit, chosen.skip),
    )
    return rows


async def named(
    connection: asyncpg.Connection, keys: Sequence[int], rulebook: Rulebook, now: datetime
) -> dict[int, asyncpg.Record]:
    """These pumps, as `pumps` has them, by their keys."""
    rows = await connection.fetch(_NAMED, now, *silence_layers(rulebook), list(keys))
    return {row["pump"]: row for row in rows}


# The mean flow of each whole hour of the last day beside what was programmed: 1 is as programmed.
_FLOW: Final = """
SELECT pump, floor(extract(epoch FROM bucket_at - $2::timestamptz) / 3600)::integer AS hour,
       (CASE WHEN program_ml_d_mean > 0 THEN flow_ml_d_mean / program_ml_d_mean END)::float8 AS share
FROM reading_hour WHERE pump = ANY ($1::integer[]) AND bucket_at >= $2
"""


async def flow_of_a_day(
    connection: asyncpg.Connection, keys: Sequence[int], now: datetime
) -> dict[int, list[float | None]]:
    """For each pump 24 shares of its program, the oldest first; None where nothing came or nothing was programmed."""
    begins = now.replace(minute=0, second=0, microsecond=0) - A_DAY + timedelta(hours=1)
    found: dict[int, list[float | None]] = {key: [None] * 24 for key in keys}
    for row in await connection.fetch(_FLOW, list(keys), begins):
        if 0 <= row["hour"] < 24 and row["share"] is not None:
            found[row["pump"]][row["hour"]] = round(row["share"], 3)
    return found
