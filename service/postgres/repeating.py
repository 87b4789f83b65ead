"""Which pumps send again and again what is known? Written by the ingester, told by whoever watches."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.change import Change, Condition, Turn
from service.core.lifecycle import EPOCH
from service.core.repeats import Told
from service.postgres.readings import instant

# What follows within ten minutes is the same episode, whoever counts it.
_SAVE: Final = """
INSERT INTO repeating AS r (pump_id, since, last_at, messages)
SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[]) AS given ORDER BY 1
ON CONFLICT (pump_id) DO UPDATE SET
    since = CASE WHEN r.last_at > excluded.since - interval '10 minutes' THEN r.since ELSE excluded.since END,
    messages = excluded.messages
        + CASE WHEN r.last_at > excluded.since - interval '10 minutes' THEN r.messages ELSE 0 END,
    last_at = greatest(r.last_at, excluded.last_at)
"""
# What was not even read could not be taken, like what is kept aside (postgres/quarantine.py).
_COUNT: Final = """
INSERT INTO quarantine_day AS counted (pump_id, day, messages)
SELECT * FROM unnest($1::text[], $2::date[], $3::bigint[]) AS given (pump_id, day, messages)
WHERE messages > 0 ORDER BY pump_id, day
ON CONFLICT (pump_id, day) DO UPDATE SET messages = counted.messages + excluded.messages
"""
_FORGET: Final = "DELETE FROM repeating WHERE last_at < $1::timestamptz - interval '7 days'"


async def save(connection: asyncpg.Connection, told: Sequence[Told], now: datetime) -> None:
    columns = list(zip(*told, strict=True))
    since, last_at = ([instant(ms) for ms in column] for column in columns[1:3])
    async with connection.transaction():
        await connection.execute(_SAVE, columns[0], since, last_at, columns[3])
        await connection.execute(_COUNT, columns[0], [at.date() for at in last_at], columns[4])
        await connection.execute(_FORGET, now)


# Pumps that have repeated themselves within ten minutes and of which it was not told; and those told of that have not.
_DISAGREE: Final = """
SELECT p.pump, r.pump_id IS NULL AS over, coalesce(r.since, a.began_at) AS began_at,
       coalesce(r.messages, 0) AS messages,
       coalesce((SELECT max(past.detected_position) + 1 FROM alert AS past
                 WHERE past.pump = p.pump AND past.condition = 'repeating'), 0) AS position
FROM pump AS p
LEFT JOIN (SELECT * FROM repeating WHERE last_at > $1::timestamptz - interval '10 minutes') AS r USING (pump_id)
LEFT JOIN alert AS a ON a.pump = p.pump AND a.condition = 'repeating' AND a.state <> 'resolved'
WHERE p.in_service AND (r.pump_id IS NULL) = (a.id IS NOT NULL) AND (r.pump_id IS NOT NULL OR a.id IS NOT NULL)
LIMIT $2
"""


async def turns(connection: asyncpg.Connection, now: datetime, most: int) -> list[Change]:
    """What begins and what ends by `now`."""
    return [_turn(row, now) for row in await connection.fetch(_DISAGREE, now, most)]


def _turn(row: asyncpg.Record, now: datetime) -> Change:
    now_ms, began_ms = ((at - EPOCH) // timedelta(milliseconds=1) for at in (now, row["began_at"]))
    change = Change(
        pump=row["pump"],
        condition=Condition.REPEATING,
        turn=Turn.ENDED if row["over"] else Turn.BEGAN,
        step=1,
        position=row["position"],
        at_ms=now_ms,
        began_ms=began_ms,
        received_ms=now_ms,
    )
    return change if row["over"] else replace(change, evidence={"messages": row["messages"]})
