"""What does a database hold after some months? Readings of other pumps, whose ingester is another."""

import asyncpg

from service.postgres.partitions import make_ahead

OTHERS = 1000
OTHER_SHARD = 63
DAYS = 30

_PUMPS = """
    INSERT INTO pump (pump_id, shard) SELECT 'h' || n, $2::smallint FROM generate_series(1, $1::integer) AS n
"""
_DAY = """
    INSERT INTO stored_reading (
        measured_at, position, received_after_ms, pump, program_100nl_d, flow_100nl_d, reservoir_ul, battery_mv, mode
    )
    SELECT $1::date + seconds * interval '1 second', (1::bigint << 40) + $2::integer * $3::bigint + number, 900, pump,
        5000, 4900 + (pump + number) % 200, 18000 - $2::integer * 347, 2910, 0
    FROM pump
    CROSS JOIN LATERAL (
        SELECT number, number * 86400.0 / $3::bigint AS seconds FROM generate_series(0, $3::bigint - 1) AS number
    ) AS reading
    WHERE shard = $4::smallint
    ORDER BY pump, number
"""


async def fill(connection: asyncpg.Connection, rows: int) -> int:
    """Store about so many readings, evenly over the last days, and return how many."""
    await connection.execute(_PUMPS, OTHERS, OTHER_SHARD)
    today = await connection.fetchval("SELECT current_date")
    first = await connection.fetchval("SELECT current_date - $1::integer", DAYS - 1)
    await make_ahead(connection, first, today)
    a_day = max(rows // DAYS // OTHERS, 1)
    for day in range(DAYS):
        at = await connection.fetchval("SELECT $1::date + $2::integer", first, day)
        await connection.execute(_DAY, at, day, a_day, OTHER_SHARD, timeout=600)
    await connection.execute("VACUUM ANALYZE stored_reading", timeout=600)
    return a_day * DAYS * OTHERS
