"""Do we ourselves hear? A shard that is not caught up, and a broker that has forgotten, are alerts of the service."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.change import Change, Condition, Turn
from service.core.lifecycle import EPOCH, AlertWritten
from service.core.rulebook import Rulebook
from service.core.shards import ranges_of
from service.core.subject import NO_PUMP, service_subject
from service.postgres.alerts import AlertStore
from service.postgres.silence import MARKER_FRESH_FOR_S

SENT_AGAIN_WITHIN: Final = timedelta(minutes=10)
"""What pumps need to send again what a forgetful broker held: then its alert is over."""

MANY: Final = 3
"""More shards than these are deaf for one reason: it is told once."""
ALL_OF_THEM: Final = "shards"

# Each shard: whether it has not been caught up for so long, and whether it is; by the database's clock, as ever.
_WATCHING: Final = """
SELECT s.shard, s.reason, date_trunc('milliseconds', coalesce(s.marker_at, s.caught_up_at)) AS caught_up_at,
       coalesce(s.marker_at, s.caught_up_at) < now() - make_interval(secs => $1::float8) AS deaf,
       coalesce(
           s.marker_at > now() - make_interval(secs => $2::float8) AND s.marker_at >= s.session_since, false
       ) AS hears
FROM shard AS s ORDER BY s.shard
"""
_TOLD: Final = "SELECT subject FROM alert WHERE condition = 'not_watching' AND state = 'active'"
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
    shards = await connection.fetch(_WATCHING, after_s, MARKER_FRESH_FOR_S)
    told = {row["subject"] for row in await connection.fetch(_TOLD)}
    lost = await connection.fetch(_SESSIONS, now, SENT_AGAIN_WITHIN)
    turns = [*_watching(shards, told, now), *(_lost(row, now) for row in lost)]
    if not turns:
        return []
    async with connection.transaction():
        return await alert_store.apply(connection, turns, now)


def _watching(shards: Sequence[asyncpg.Record], told: Collection[str], now: datetime) -> list[Change]:
    """A shard that is deaf is an alert of its own, many of them are one; each ends once it hears again."""
    deaf = [row for row in shards if row["deaf"]]
    many = len(deaf) > MANY
    turns = []
    for row in shards:
        part = f"shard-{row['shard']}"
        is_told = service_subject(part) in told
        if row["hears"] if is_told else row["deaf"] and not many:
            evidence = {"reason": row["reason"]}
            turns.append(_turn(Condition.NOT_WATCHING, part, row["caught_up_at"], evidence, now, ended=is_told))
    are_told = service_subject(ALL_OF_THEM) in told
    if sum(not row["hears"] for row in shards) <= MANY if are_told else many:
        first = min(deaf or shards, key=lambda row: row["caught_up_at"])
        evidence = {"reason": first["reason"], "shards": ranges_of([row["shard"] for row in deaf])}
        turns.append(_turn(Condition.NOT_WATCHING, ALL_OF_THEM, first["caught_up_at"], evidence, now, ended=are_told))
    return turns


def _lost(row: asyncpg.Record, now: datetime) -> Change:
    part = f"shard-{row['shard']}"
    return _turn(Condition.BROKER_SESSION_LOST, part, row["lost_at"], {}, now, ended=row["told"])


def _turn(
    condition: Condition, part: str, since: datetime, evidence: Mapping[str, str], now: datetime, *, ended: bool
) -> Change:
    now_ms = _ms(now)
    return Change(
        pump=NO_PUMP,
        condition=condition,
        turn=Turn.ENDED if ended else Turn.BEGAN,
        step=1,
        position=now_ms,
        at_ms=now_ms,
        began_ms=_ms(since),
        received_ms=now_ms,
        evidence=dict(evidence),
        subject=service_subject(part),
    )


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)
