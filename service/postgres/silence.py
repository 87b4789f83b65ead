"""Which pumps have fallen silent, and which are heard again? The database alone says, so a restart changes nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from service.core.change import Change, Condition, Priority, Turn
from service.core.lifecycle import AlertWritten
from service.core.reading import DrugClass
from service.core.rulebook import Rulebook
from service.core.silence import Heard, turn_of
from service.postgres.alerts import AlertStore
from service.postgres.batches import write_verdicts

MARKER_FRESH_FOR_S: Final = 15.0
GRACE_AT_LEAST_S: Final = 30.0
"""What a pump may need to reconnect, with its jitter, and to send again what has no receipt."""
AT_ONCE: Final = 1_000
"""Turns in one transaction, so that nobody waits long for the alerts' locks."""

_INTERVALS: Final = "SELECT DISTINCT interval_s::text::float8 AS interval_s FROM pump WHERE in_service"

# Pumps whose silence may have turned: heard again; or silent, newly or long enough to be more urgent, where that can be
# told. It can while the pump's shard is caught up (its last marker is fresh and came over the session that stands) and
# the pump had time to reconnect.
_CANDIDATES: Final = """
SELECT p.pump, known.heard_at, p.drug_class, p.interval_s::text::float8 AS interval_s,
       l.program_ml_d::text::float8 AS program_ml_d, a.silent_since, a.priority,
       greatest(coalesce(l.position, 0), (
           SELECT max(past.detected_position) + 1 FROM alert AS past
           WHERE past.pump = p.pump AND past.condition = 'silence'
       )) AS position
FROM pump AS p
JOIN shard AS s USING (shard)
JOIN unnest($2::real[], $3::float8[]) AS silent (interval_s, after_s) ON silent.interval_s = p.interval_s
LEFT JOIN pump_latest AS l USING (pump)
LEFT JOIN LATERAL (
    SELECT priority, 'epoch'::timestamptz + (evidence ->> 'began_ms')::bigint * interval '1 ms' AS silent_since
    FROM alert WHERE alert.pump = p.pump AND condition = 'silence' AND state = 'active'
) AS a ON true
CROSS JOIN LATERAL (
    SELECT date_trunc('milliseconds', coalesce(l.received_at, p.enrolled_at)) AS heard_at -- as exact as began_ms
) AS known
WHERE p.in_service AND (
    known.heard_at > a.silent_since
    OR (
        known.heard_at < $1::timestamptz - make_interval(secs => silent.after_s)
        AND (a.silent_since IS NULL OR known.heard_at < $1::timestamptz - make_interval(secs => $6::float8))
        AND s.marker_at > now() - make_interval(secs => $4::float8)
        AND s.marker_at >= s.session_since
        AND s.session_since < $1::timestamptz - make_interval(secs => greatest($5::float8, p.interval_s))
    )
)
ORDER BY p.pump
"""


async def look_once(
    connection: asyncpg.Connection, alert_store: AlertStore, rulebook: Rulebook, now: datetime
) -> list[AlertWritten]:
    """Find what has turned by `now` and write it, a transaction for each thousand pumps."""
    turns = await silence_turns(connection, rulebook, now)
    written: list[AlertWritten] = []
    for at in range(0, len(turns), AT_ONCE):
        some = turns[at : at + AT_ONCE]
        async with connection.transaction():
            written += await alert_store.apply(connection, some, now)
            await write_verdicts(connection, [turn for turn in some if turn.turn is not Turn.ROSE])
    return written


async def silence_turns(connection: asyncpg.Connection, rulebook: Rulebook, now: datetime) -> Sequence[Change]:
    intervals_s = [row["interval_s"] for row in await connection.fetch(_INTERVALS)]
    after_s = [rulebook.silence_after_s(interval_s) for interval_s in intervals_s]
    rises_after_s = min(rulebook.limit(Condition.SILENCE, "medium_after_s", drug_class) for drug_class in DrugClass)
    rows = await connection.fetch(
        _CANDIDATES, now, intervals_s, after_s, MARKER_FRESH_FOR_S, GRACE_AT_LEAST_S, rises_after_s
    )
    turns = (turn_of(_heard(row), rulebook, now) for row in rows)
    return [turn for turn in turns if turn is not None]


def _heard(row: asyncpg.Record) -> Heard:
    priority = row["priority"]
    return Heard(
        **{
            **row,
            "drug_class": DrugClass(row["drug_class"]),
            "priority": None if priority is None else Priority(priority),
        }
    )
