"""Which sites have fallen silent as one, and whose silence is told of by their site's alert?"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import numpy as np

from service.core.change import Change, Condition, Priority, Turn
from service.core.lifecycle import EPOCH, AlertWritten
from service.core.rulebook import Rulebook
from service.core.site import Outage, SitePumps, site_turn
from service.postgres.alerts import AlertStore
from service.postgres.layers import layers, site_limit_sql

FIRST_NAMED: Final = 5
_MILLISECOND: Final = timedelta(milliseconds=1)


class Look(NamedTuple):
    """The query of every pump in service, what it asks for, and the sites of which a pump has just fallen silent."""

    known: str
    asked: Sequence[Any]
    sites: Collection[str]


# The pumps of some sites: when each was heard, and whether it is silent where that can be told.
_PUMPS: Final = """
WITH known AS NOT MATERIALIZED ({known})
SELECT k.site, k.pump_id, k.heard_at, k.interval_s::text::float8 AS interval_s, k.can_be_told,
       k.can_be_told AND k.heard_at < k.judged_at - make_interval(secs => k.after_s) AS silent
FROM known AS k WHERE k.site = ANY ($6::text[]) ORDER BY k.site, k.pump_id
"""
# What is known of some sites' silence, and of every site's whose alert is active: that alert, and when the last ended.
_STANDING: Final = """
SELECT given.site, a.id, a.began_at, a.priority, past.ended_at
FROM (SELECT unnest($1::text[]) UNION SELECT site FROM alert WHERE condition = 'site_silence' AND state = 'active')
    AS given (site)
LEFT JOIN alert AS a ON a.subject = 'site:' || given.site AND a.condition = 'site_silence' AND a.state = 'active'
CROSS JOIN LATERAL (
    SELECT max(ended_at) AS ended_at FROM alert
    WHERE subject = 'site:' || given.site AND condition = 'site_silence' AND state <> 'active'
) AS past
ORDER BY given.site
"""


async def look_once(
    connection: asyncpg.Connection, alert_store: AlertStore, rulebook: Rulebook, look: Look, now: datetime
) -> list[AlertWritten]:
    """Write which sites have turned by `now`. Where one is heard again, pumps that are still silent are told of."""
    standing = {row["site"]: row for row in await connection.fetch(_STANDING, list(look.sites))}
    if not standing:
        return []
    pumps = await connection.fetch(_PUMPS.format(known=look.known), *look.asked, list(standing))
    of_site = {site: list(rows) for site, rows in groupby(pumps, key=lambda row: row["site"])}
    found = [(row, _turn(row, of_site.get(site, []), rulebook, now)) for site, row in standing.items()]
    turns = [(row, turn) for row, turn in found if turn is not None]
    over = [row["id"] for row, turn in turns if turn.turn is Turn.ENDED]
    if not turns:
        return []
    async with connection.transaction():
        written = await alert_store.apply(connection, [turn for _, turn in turns], now)
        return written + await _tell_of(connection, alert_store, rulebook, over, now)


# How many pumps of some sites are in service.
_SIZES: Final = "SELECT site, count(*) AS pumps FROM pump WHERE in_service AND site = ANY ($1::text[]) GROUP BY site"
# The alerts that tell of sites' silence.
_OUTAGES: Final = "SELECT site, id FROM alert WHERE condition = 'site_silence' AND state = 'active'"


async def sizes(connection: asyncpg.Connection, sites: Iterable[str]) -> dict[str, int]:
    return {row["site"]: row["pumps"] for row in await connection.fetch(_SIZES, list(sites))}


async def outages(connection: asyncpg.Connection) -> dict[str, UUID]:
    return {row["site"]: row["id"] for row in await connection.fetch(_OUTAGES)}


# Pumps that fell silent with their site, before that was known to be so.
_WITH_THEIR_SITE: Final = f"""
SELECT a.id, site.id AS by
FROM alert AS site
JOIN pump AS p ON p.site = site.site
JOIN alert AS a ON a.pump = p.pump AND a.condition = 'silence' AND a.state = 'active'
WHERE site.condition = 'site_silence' AND site.state = 'active' AND a.inhibited_by IS NULL
    AND a.began_at >= site.began_at - make_interval(secs => p.interval_s * {site_limit_sql("$1", "p.site")})
"""


async def inhibit(
    connection: asyncpg.Connection, alert_store: AlertStore, rulebook: Rulebook, now: datetime
) -> list[AlertWritten]:
    """Let the sites' alerts tell of their pumps' silence."""
    window = layers(rulebook, Condition.SITE_SILENCE, "window_intervals")
    by: dict[UUID, list[UUID]] = {}
    for row in await connection.fetch(_WITH_THEIR_SITE, window):
        by.setdefault(row["by"], []).append(row["id"])
    written: list[AlertWritten] = []
    for site, alerts in by.items():
        async with connection.transaction():
            written += await alert_store.inhibit(connection, alerts, site, now)
    return written


# Pumps that are silent still, although their site is not.
_STILL_SILENT: Final = """
SELECT a.id, p.interval_s::text::float8 AS interval_s, p.site
FROM alert AS a JOIN pump AS p USING (pump) LEFT JOIN pump_latest AS l USING (pump)
WHERE a.inhibited_by = ANY ($1::uuid[]) AND a.state = 'active'
    AND date_trunc('milliseconds', coalesce(l.received_at, p.enrolled_at)) <= a.began_at
"""


async def _tell_of(
    connection: asyncpg.Connection, alert_store: AlertStore, rulebook: Rulebook, over: Collection[UUID], now: datetime
) -> list[AlertWritten]:
    """Each has time to be heard as well: the ways of a site's pumps do not open at the same second."""
    rows = await connection.fetch(_STILL_SILENT, list(over)) if over else []
    after_s = {
        row["id"]: row["interval_s"] * rulebook.limit(Condition.SITE_SILENCE, "window_intervals", site=row["site"])
        for row in rows
    }
    return await alert_store.announce(connection, after_s, now)


def _turn(standing: asyncpg.Record, rows: Sequence[asyncpg.Record], rulebook: Rulebook, now: datetime) -> Change | None:
    outage = None
    if standing["id"] is not None:
        outage = Outage(_ms(standing["began_at"]), Priority(standing["priority"]))
    if outage is None:
        rows = [row for row in rows if row["can_be_told"]]
    pumps = SitePumps(
        np.array([_ms(row["heard_at"]) for row in rows], np.int64),
        np.array([row["interval_s"] * 1000 for row in rows], np.int64),
        np.array([row["silent"] for row in rows], np.bool_),
    )
    ended_ms = None if standing["ended_at"] is None else _ms(standing["ended_at"])
    turn = site_turn(standing["site"], pumps, outage, ended_ms, rulebook, _ms(now))
    if turn is None or turn.turn is not Turn.BEGAN:
        return turn
    first = [row["pump_id"] for row in rows if row["silent"]][:FIRST_NAMED]
    return replace(turn, evidence=turn.evidence | {"first_pumps": ", ".join(first)})


def _ms(at: datetime) -> int:
    return (at - EPOCH) // _MILLISECOND
