"""What is kept of what the broker says of itself? Counters, so that a rise is seen once; and since when it is so."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import asyncpg

from service.core.broker import Report

# A counter that has fallen was begun anew. What is told again within ten minutes goes on.
_COUNT: Final = """
INSERT INTO broker_trouble AS b (what, value, reason, since, last_at, condition)
VALUES ($1, $2::bigint, $3, CASE WHEN $2::bigint > 0 THEN $4::timestamptz END,
        CASE WHEN $2::bigint > 0 THEN $4::timestamptz END, $5)
ON CONFLICT (what) DO UPDATE SET
    value = excluded.value, reason = excluded.reason,
    since = CASE WHEN b.last_at > $4::timestamptz - interval '10 minutes' THEN b.since ELSE $4::timestamptz END,
    last_at = $4::timestamptz
WHERE excluded.value > b.value OR (excluded.value < b.value AND excluded.value > 0)
"""
_RESTARTED: Final = "UPDATE broker_trouble SET value = 0 WHERE what = $1 AND value > $2::bigint AND $2::bigint = 0"
_LEVEL: Final = """
INSERT INTO broker_trouble AS b (what, value, reason, since, last_at, condition) VALUES ($1, 0, $2, $3, $3, $4)
ON CONFLICT (what) DO UPDATE SET
    reason = excluded.reason, last_at = excluded.last_at,
    since = CASE WHEN b.last_at > $3::timestamptz - interval '10 minutes' THEN b.since ELSE excluded.since END
"""


async def record(connection: asyncpg.Connection, reports: Iterable[Report], now: datetime) -> None:
    for report in reports:
        if report.value is None:
            await connection.execute(_LEVEL, report.what, report.reason, now, report.condition)
        else:
            await connection.execute(_COUNT, report.what, report.value, report.reason, now, report.condition)
            await connection.execute(_RESTARTED, report.what, report.value)
