"""Which pumps are in no list? A few are told of each for itself; of many, one alert of the service tells."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.alert import alert_id
from service.core.change import Change, Condition, Turn
from service.core.lifecycle import EPOCH, AlertWritten
from service.core.subject import NO_PUMP, service_subject
from service.postgres.alerts import AlertStore

FEW: Final = 5
AT_ONCE: Final = 1_000
SUBJECT: Final = service_subject("registry")

# Pumps whose registration and alert do not agree.
_DISAGREE: Final = """
SELECT p.pump, p.registered, coalesce(l.position, 0) AS position, p.enrolled_at
FROM pump AS p LEFT JOIN pump_latest AS l USING (pump)
LEFT JOIN alert AS a ON a.pump = p.pump AND a.condition = 'unregistered' AND a.state <> 'resolved'
WHERE p.in_service AND p.registered = (a.id IS NOT NULL)
LIMIT $1
"""
_MANY: Final = "SELECT id FROM alert WHERE subject = $1 AND condition = 'unregistered' AND state <> 'resolved'"
_STANDS: Final = """
SELECT count(*) AS pumps, count(*) FILTER (WHERE simulated) AS simulated, min(enrolled_at) AS since,
       (SELECT pump_id FROM pump WHERE in_service AND NOT registered ORDER BY enrolled_at, pump LIMIT 1) AS first
FROM pump WHERE in_service AND NOT registered
"""
_LEFT: Final = "SELECT id FROM alert WHERE inhibited_by = $1 AND state = 'active'"


async def look_once(connection: asyncpg.Connection, alert_store: AlertStore, now: datetime) -> list[AlertWritten]:
    """Make these alerts say what the registry says at `now`, of at most a thousand pumps at once."""
    rows = await connection.fetch(_DISAGREE, AT_ONCE)
    many = await connection.fetchval(_MANY, SUBJECT)
    if not rows and many is None:
        return []
    stands = await connection.fetchrow(_STANDS)
    begins, ends = many is None and stands["pumps"] > FEW, many is not None and stands["pumps"] <= FEW
    turns = []
    if begins or ends:
        about_all = _turn(NO_PUMP, Turn.BEGAN if begins else Turn.ENDED, _ms(now), stands["since"] or now, now)
        said = {"pumps": stands["pumps"], "simulated": stands["simulated"], "first": stands["first"]} if begins else {}
        turns = [replace(about_all, subject=SUBJECT, evidence=said)]
    teller = alert_id(SUBJECT, Condition.UNREGISTERED, _ms(now)) if begins else None if ends else many
    for row in rows:
        turn = _turn(
            row["pump"], Turn.ENDED if row["registered"] else Turn.BEGAN, row["position"], row["enrolled_at"], now
        )
        turns.append(turn if row["registered"] else replace(turn, inhibited_by=teller))
    async with connection.transaction():
        written = await alert_store.apply(connection, turns, now)
        if ends:
            left = {row["id"]: 0.0 for row in await connection.fetch(_LEFT, many)}
            written += await alert_store.announce(connection, left, now)
    return written


def _turn(pump: int, turn: Turn, position: int, since: datetime, now: datetime) -> Change:
    return Change(
        pump=pump,
        condition=Condition.UNREGISTERED,
        turn=turn,
        step=1,
        position=position,
        at_ms=_ms(now),
        began_ms=_ms(since),
        received_ms=_ms(now),
    )


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)
