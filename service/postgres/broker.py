"""What is kept of what the broker says of itself? Counters, so that a rise is seen once; since when it is so; and when
it last said anything.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.broker import Report
from service.core.change import Condition

DROPS_TOLD_FOR: Final = timedelta(minutes=10)
DEGRADED_TOLD_FOR: Final = timedelta(minutes=1)
_TOLD_FOR: Final = {Condition.BROKER_DROPPING: DROPS_TOLD_FOR, Condition.BROKER_DEGRADED: DEGRADED_TOLD_FOR}
"""What is seen again within that goes on; otherwise it begins anew."""

# A counter that has fallen was begun anew.
_COUNT: Final = """
INSERT INTO broker_trouble AS b (what, value, reason, since, last_at, condition)
VALUES ($1, $2::bigint, $3, CASE WHEN $2::bigint > 0 THEN $4::timestamptz END,
        CASE WHEN $2::bigint > 0 THEN $4::timestamptz END, $5)
ON CONFLICT (what) DO UPDATE SET
    value = excluded.value, reason = excluded.reason,
    since = CASE WHEN b.last_at > $4::timestamptz - $6::interval THEN b.since ELSE $4::timestamptz END,
    last_at = $4::timestamptz
WHERE excluded.value > b.value OR (excluded.value < b.value AND excluded.value > 0)
"""
_RESTARTED: Final = "UPDATE broker_trouble SET value = 0 WHERE what = $1 AND value > $2::bigint AND $2::bigint = 0"
_LEVEL: Final = """
INSERT INTO broker_trouble AS b (what, value, reason, since, last_at, condition) VALUES ($1, 0, $2, $3, $3, $4)
ON CONFLICT (what) DO UPDATE SET
    reason = excluded.reason, last_at = excluded.last_at,
    since = CASE WHEN b.last_at > $3::timestamptz - $5::interval THEN b.since ELSE excluded.since END
"""
_ANSWERED: Final = """
INSERT INTO broker_answer AS b (since, last_at) VALUES ($1, $1)
ON CONFLICT (only_one) DO UPDATE SET
    since = CASE WHEN b.last_at < $1 - $2::interval THEN excluded.since ELSE b.since END,
    last_at = greatest(b.last_at, excluded.last_at)
"""
_ANSWERS: Final = "SELECT last_at >= $1 AND since <= $2 FROM broker_answer"
SILENT_AFTER: Final = timedelta(seconds=30)
"""Without an answer: then nobody knows how the broker is."""


async def record(connection: asyncpg.Connection, reports: Iterable[Report], now: datetime) -> None:
    """It has answered, and this. Together: an answer without its troubles would look whole."""
    async with connection.transaction():
        for report in reports:
            what, value, reason, condition = report
            told_for = _TOLD_FOR[condition]
            if value is None:
                await connection.execute(_LEVEL, what, reason, now, condition, told_for)
            else:
                await connection.execute(_COUNT, what, value, reason, now, condition, told_for)
                await connection.execute(_RESTARTED, what, value)
        await connection.execute(_ANSWERED, now, SILENT_AFTER)


async def answers(connection: asyncpg.Connection, for_so_long: timedelta, now: datetime) -> bool:
    """Has it answered all along, for so long?"""
    return bool(await connection.fetchval(_ANSWERS, now - SILENT_AFTER, now - for_so_long))
