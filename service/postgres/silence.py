"""Which pumps have fallen silent, and which are heard again? The database alone says, so a restart changes nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from service.core.change import Change, Condition, Priority, Turn
from service.core.lifecycle import AlertWritten
from service.core.reading import DrugClass
from service.core.rulebook import Rulebook
from service.core.silence import Heard, turn_of
from service.core.site import may_be_the_site
from service.postgres import sites
from service.postgres.alerts import AlertStore
from service.postgres.batches import write_verdicts
from service.postgres.layers import layers, limit_sql

MARKER_FRESH_FOR_S: Final = 15.0
GRACE_AT_LEAST_S: Final = 30.0
"""What a pump may need to reconnect, with its jitter, and to send again what has no receipt."""
AT_ONCE: Final = 1_000
"""Turns in one transaction, so that nobody waits long for the alerts' locks."""

ABSENCE_COUNTS_FOR: Final = "interval '120 days'"
"""After its end; no limit of silence is longer."""

# Every pump in service whose silence can be told: its shard is caught up (its last marker is fresh and came over the
# session that stands), the pump had time to reconnect, and nobody has said that it would be away. What a pump sent
# before that marker is known here; what it sent later may not be yet, so silence is judged as of the marker.
KNOWN: Final = f"""
SELECT p.pump, p.pump_id, p.site, p.interval_s, p.drug_class, l.position, l.program_ml_d,
       own.after_s,
       date_trunc('milliseconds', coalesce(l.received_at, p.enrolled_at)) AS heard_at, -- as exact as began_ms
       least($1::timestamptz, s.marker_at) AS judged_at,
       coalesce(
           s.marker_at > now() - make_interval(secs => $4::float8)
           AND s.marker_at >= s.session_since
           AND s.session_since < $1::timestamptz - make_interval(secs => greatest($5::float8, p.interval_s))
           AND (away.until_at IS NULL OR away.until_at < least($1::timestamptz, s.marker_at)
               - make_interval(secs => own.after_s)), false
       ) AS can_be_told
FROM pump AS p
JOIN shard AS s USING (shard)
CROSS JOIN LATERAL (
    SELECT greatest({limit_sql("$2")} * p.interval_s::text::float8, {limit_sql("$3")}) AS after_s
) AS own
LEFT JOIN pump_latest AS l USING (pump)
LEFT JOIN (
    SELECT pump, max(least(until_at, ended_at)) AS until_at FROM care
    WHERE kind = 'absence' AND from_at <= $1::timestamptz AND until_at > $1::timestamptz - {ABSENCE_COUNTS_FOR}
    GROUP BY pump
) AS away USING (pump)
WHERE p.in_service
"""
# Those of them whose silence may have turned: heard again; or silent, newly or long enough to be more urgent, for the
# strictest limits that anybody has.
_CANDIDATES: Final = f"""
WITH known AS NOT MATERIALIZED ({KNOWN})
SELECT k.pump, k.pump_id, k.site, k.heard_at, k.judged_at, k.drug_class, k.interval_s::text::float8 AS interval_s,
       k.program_ml_d::text::float8 AS program_ml_d, a.silent_since, a.priority, past.ended_at,
       greatest(coalesce(k.position, 0), past.detected_position + 1) AS position
FROM known AS k
LEFT JOIN LATERAL (
    SELECT priority, 'epoch'::timestamptz + (evidence ->> 'began_ms')::bigint * interval '1 ms' AS silent_since
    FROM alert WHERE alert.pump = k.pump AND condition = 'silence' AND state = 'active'
) AS a ON true
CROSS JOIN LATERAL (
    SELECT max(detected_position) AS detected_position, max(ended_at) AS ended_at
    FROM alert WHERE alert.pump = k.pump AND condition = 'silence'
) AS past
WHERE k.heard_at > a.silent_since
    OR (
        k.can_be_told
        AND k.heard_at < k.judged_at - make_interval(secs => greatest($7::float8 * k.interval_s, $8::float8))
        AND (a.silent_since IS NULL OR k.heard_at < k.judged_at - make_interval(secs => $6::float8))
    )
ORDER BY k.pump
"""


async def look_once(
    connection: asyncpg.Connection, alert_store: AlertStore, rulebook: Rulebook, now: datetime
) -> list[AlertWritten]:
    """Find what has turned by `now` and write it: sites first, then their pumps, a transaction for each thousand."""
    look = _looked(rulebook, now)
    rows = await connection.fetch(_CANDIDATES, *look)
    turned_at = {row["site"] for row in rows if row["site"] is not None and row["silent_since"] is None}
    written = await sites.look_once(connection, alert_store, rulebook, sites.Look(KNOWN, look[:5], turned_at), now)
    outages = await sites.outages(connection)
    sizes = await sites.sizes(connection, turned_at)
    found = (_turn(row, rulebook, sizes, outages, now) for row in rows)
    turns = [turn for turn in found if turn is not None]
    for at in range(0, len(turns), AT_ONCE):
        some = turns[at : at + AT_ONCE]
        async with connection.transaction():
            written += await alert_store.apply(connection, some, now)
            await write_verdicts(connection, [turn for turn in some if turn.turn is not Turn.ROSE])
    return written + await sites.inhibit(connection, alert_store, rulebook, now)


def _looked(rulebook: Rulebook, now: datetime) -> tuple[datetime, str, str, float, float, float, float, float]:
    """What the query asks for: the time, what makes each pump silent, what makes that tellable, and the least of it."""
    own = [layers(rulebook, Condition.SILENCE, name) for name in ("after_intervals", "at_least_s")]
    names = ("medium_after_s", "after_intervals", "at_least_s")
    rises_after_s, intervals, at_least_s = (rulebook.least(Condition.SILENCE, name) for name in names)
    return now, own[0], own[1], MARKER_FRESH_FOR_S, GRACE_AT_LEAST_S, rises_after_s, intervals, at_least_s


def _turn(
    row: asyncpg.Record, rulebook: Rulebook, sizes: Mapping[str, int], outages: Mapping[str, UUID], now: datetime
) -> Change | None:
    priority, site = row["priority"], row["site"]
    heard_again = row["silent_since"] is not None and row["heard_at"] > row["silent_since"]
    heard = Heard(
        pump=row["pump"],
        heard_at=row["heard_at"],
        position=row["position"] or 0,
        interval_s=row["interval_s"],
        drug_class=DrugClass(row["drug_class"]),
        program_ml_d=row["program_ml_d"],
        silent_since=row["silent_since"],
        priority=None if priority is None else Priority(priority),
        ended_at=row["ended_at"],
        hold_s=may_be_the_site(sizes.get(site, 0), row["interval_s"], rulebook, site or ""),
        inhibited_by=outages.get(site),
        site=site,
        pump_id=row["pump_id"],
    )
    return turn_of(heard, rulebook, now if heard_again else row["judged_at"])
