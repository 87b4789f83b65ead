"""Do we ourselves hear? A shard that is not caught up, and a broker that has forgotten, are alerts of the service."""

from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.change import Change, Condition, Turn
from service.core.lifecycle import EPOCH, AlertWritten
from service.core.rulebook import Rulebook
from service.core.subject import NO_PUMP, service_subject
from service.postgres.alerts import AlertStore
from service.postgres.silence import MARKER_FRESH_FOR_S

SENT_AGAIN_WITHIN: Final = timedelta(minutes=10)
"""What pumps need to send again what a forgetful broker held: then its alert is over."""

# Shards that have not been caught up for so long, and those that are again; by the database's clock, as ever.
_WATCHING: Final = """
SELECT s.shard, s.reason, a.id IS NOT NULL AS told,
       date_trunc('milliseconds', coalesce(s.marker_at, s.caught_up_at)) AS caught_up_at
FROM shard AS s
LEFT JOIN alert AS a ON a.subject = 'service:shard-' || s.shard AND a.condition = 'not_watching' AND a.state = 'active'
WHERE CASE WHEN a.id IS NULL THEN coalesce(s.marker_at, s.caught_up_at) < now() - make_interval(secs => $1::float8)
    ELSE s.marker_at > now() - make_interval(secs => $2::float8) AND s.marker_at >= s.session_since END
"""
# Sessions that the broker has forgotten, and those of which that is over.
_SESSIONS: Final = """
SELECT s.shard, a.id IS NOT NULL AS told, date_trunc('milliseconds', s.session_lost_at) AS lost_at
FROM shard AS s
LEFT JOIN alert AS a ON a.subject = 'service:shard-' || s.shard AND a.condition = 'broker_session_lost'
    AND a.state = 'active'
WHERE CASE WHEN a.id IS NULL THEN s.session_lost_at > $1::timestamptz - $2::interval AND NOT EXISTS (
        SELECT FROM alert AS past WHERE past.subject = 'service:shard-' || s.shard
            AND past.condition = 'broker_session_lost'
            AND past.began_at >= date_trunc('milliseconds', s.session_lost_at))
    ELSE s.session_since IS NOT NULL AND s.session_lost_at <= $1::timestamptz - $2::interval END
"""


async def look_once(
    connection: asyncpg.Connection, alert_store: AlertStore, rulebook: Rulebook, now: datetime
) -> list[AlertWritten]:
    after_s = rulebook.limit(Condition.NOT_WATCHING, "after_s")
    deaf = await connection.fetch(_WATCHING, after_s, MARKER_FRESH_FOR_S)
    lost = await connection.fetch(_SESSIONS, now, SENT_AGAIN_WITHIN)
    turns = [
        *(_turn(Condition.NOT_WATCHING, row, row["caught_up_at"], {"reason": row["reason"]}, now) for row in deaf),
        *(_turn(Condition.BROKER_SESSION_LOST, row, row["lost_at"], {}, now) for row in lost),
    ]
    if not turns:
        return []
    async with connection.transaction():
        return await alert_store.apply(connection, turns, now)


def _turn(
    condition: Condition, row: asyncpg.Record, since: datetime, evidence: dict[str, float | int | str], now: datetime
) -> Change:
    now_ms = _ms(now)
    return Change(
        pump=NO_PUMP,
        condition=condition,
        turn=Turn.ENDED if row["told"] else Turn.BEGAN,
        step=1,
        position=now_ms,
        at_ms=now_ms,
        began_ms=_ms(since),
        received_ms=now_ms,
        evidence=evidence,
        subject=service_subject(f"shard-{row['shard']}"),
    )


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)
