"""What did a pump measure over a span, in so many points? From its readings, or from the hours and days kept of them.

Each point has the least and the greatest of every quantity: a spike of one reading is in it at every resolution.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.resolution import Plan, Source, at_most

QUANTITIES: Final = ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v")

_EACH: Final = ", ".join(f"{name} AS {name}_min, {name} AS {name}_max, {name} AS {name}_mean" for name in QUANTITIES)
# Every reading is a point.
READINGS: Final = f"""
SELECT measured_at AS at, 1 AS readings, measured_at AS first_at, measured_at AS last_at, mode AS mode_last, {_EACH}
FROM reading WHERE pump = $1 AND measured_at >= $2 AND measured_at < $3
ORDER BY measured_at, position LIMIT $4
"""
_PUT_TOGETHER: Final = ", ".join(
    f"min({name}) AS {name}_min, max({name}) AS {name}_max, avg({name}) AS {name}_mean" for name in QUANTITIES
)
# The mode that was said last. Its time stands before it in one number: to sort the readings of each point took a fifth
# of the whole. Of readings of the same millisecond it is that with the greatest number, which has to be below 16.
_LAST_MODE: Final = "(max(round(date_part('epoch', measured_at) * 1000)::bigint * 16 + mode) & 15)::smallint"
# Readings put together, from the beginning of the span on.
PUT_TOGETHER: Final = f"""
SELECT at, count(*) AS readings, min(measured_at) AS first_at, max(measured_at) AS last_at,
       {_LAST_MODE} AS mode_last, {_PUT_TOGETHER}
FROM (
    SELECT date_bin($4::interval, measured_at, $2) AS at, reading.*
    FROM reading WHERE pump = $1 AND measured_at >= $2 AND measured_at < $3
) AS binned
GROUP BY at ORDER BY at
"""
_AGAIN: Final = ", ".join(
    f"min({name}_min) AS {name}_min, max({name}_max) AS {name}_max,"
    f" sum({name}_mean * readings) / sum(readings) AS {name}_mean"
    for name in QUANTITIES
)
# Hours, or days, put together. What begins before the span is there whole: `first_at` says so.
_KEPT: Final = f"""
SELECT at, sum(readings)::bigint AS readings, min(first_at) AS first_at, max(last_at) AS last_at,
       (array_agg(mode_last ORDER BY bucket_at))[count(*)] AS mode_last, {_AGAIN}
FROM (
    SELECT date_bin($4::interval, bucket_at, $2) AS at, kept.*
    FROM reading_{{unit}} AS kept WHERE pump = $1 AND bucket_at >= $2 AND bucket_at < $3
) AS binned
GROUP BY at ORDER BY at
"""
KEPT: Final = {source: _KEPT.format(unit=source) for source in (Source.HOUR, Source.DAY)}

_SPACING: Final = "SELECT pump, interval_s::float8 FROM pump WHERE pump_id = $1 AND erased_at IS NULL"


async def pump_of(connection: asyncpg.Connection, pump_id: str) -> tuple[int, float] | None:
    """Its key and the usual spacing of its readings, in seconds."""
    row = await connection.fetchrow(_SPACING, pump_id)
    return None if row is None else (row["pump"], row["interval_s"])


async def series(
    connection: asyncpg.Connection, key: int, plan: Plan, until: datetime, points: int
) -> tuple[timedelta, Sequence[asyncpg.Record]]:
    """The width of a point (zero: readings), and the points that are not empty, in order of time."""
    if plan.source is not Source.RAW:
        return plan.width, await connection.fetch(KEPT[plan.source], key, plan.begins, until, plan.width)
    width = plan.width
    if not width:
        rows = await connection.fetch(READINGS, key, plan.begins, until, points + 1)
        if len(rows) <= points:
            return width, rows
        width = at_most(until - plan.begins, points)  # it says more than its interval promises
    return width, await connection.fetch(PUT_TOGETHER, key, plan.begins, until, width)
