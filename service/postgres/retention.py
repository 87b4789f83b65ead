"""How long are a site's readings kept? As long as the site says, else as the setting does; a day at a time they go.

Days that nobody keeps go as a whole, which costs nothing (partitions.py). Where some keep them longer, those of the
others are deleted, site by site.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import asyncpg

from service.ports import Forgotten

_LONGEST_CHUNK: Final = timedelta(days=8)  # a chunk stays while any day of it is kept
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtext('pumpwatch retention'))"
_LONGEST: Final = "SELECT greatest($1::integer, max(retention_d)) FROM site"
# Who keeps readings less long than they are kept at all, how long, and where that has come to.
_SHORTER: Final = """
SELECT kept.site, kept.retention_d, forgotten.before
FROM (
    SELECT site, coalesce(retention_d, $1::integer) AS retention_d FROM site UNION ALL SELECT '', $1::integer
) AS kept LEFT JOIN forgotten USING (site)
WHERE retention_d < $2 AND coalesce(forgotten.before < $3::date - retention_d, true)
ORDER BY site LIMIT 1
"""
_PUMPS: Final = "SELECT pump FROM pump WHERE coalesce(site, '') = $1"
# What may lie in parts that are compressed already; unknown to plain PostgreSQL.
_NO_LIMIT: Final = """
SELECT set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true)
WHERE EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')
"""
_DELETE: Final = """
DELETE FROM {table} WHERE pump = ANY ($1::integer[]) AND measured_at >= $2 AND measured_at < $3
"""
_TABLES: Final = ("stored_reading", "late_reading")
_REACHED: Final = """
INSERT INTO forgotten (site, before) VALUES ($1, $2) ON CONFLICT (site) DO UPDATE SET before = excluded.before
"""


async def longest_kept_d(connection: asyncpg.Connection, retention_d: int) -> int:
    """For how many days somebody keeps readings."""
    longest: int = await connection.fetchval(_LONGEST, retention_d)
    return longest


async def forget_a_day(connection: asyncpg.Connection, today: date, retention_d: int) -> Forgotten | None:
    """Delete one day of a site that keeps less than others do; None: there is none, or another process is at it.

    A site that has never forgotten anything begins with the days before the oldest that anybody keeps.
    """
    longest_d = await longest_kept_d(connection, retention_d)
    async with connection.transaction():
        if not await connection.fetchval(_LOCK):
            return None
        row = await connection.fetchrow(_SHORTER, retention_d, longest_d, today)
        if row is None:
            return None
        kept_from = today - timedelta(days=row["retention_d"])
        day = min(max(row["before"] or date.min, today - timedelta(days=longest_d) - _LONGEST_CHUNK), kept_from)
        pumps = [pump["pump"] for pump in await connection.fetch(_PUMPS, row["site"])]
        begins = datetime.combine(day, time(), UTC)
        count = 0
        if pumps and day < kept_from:
            await connection.execute(_NO_LIMIT)
            for table in _TABLES:
                said = await connection.execute(_DELETE.format(table=table), pumps, begins, begins + timedelta(days=1))
                count += int(said.rpartition(" ")[2])
        await connection.execute(_REACHED, row["site"], min(day + timedelta(days=1), kept_from))
    return Forgotten(row["site"], day, count)
