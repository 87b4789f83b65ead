"""What is said of each site: its name, its time zone, how long its readings are kept."""

from typing import Final

import asyncpg

_SITES: Final = """
SELECT s.site, s.name, s.time_zone, s.retention_d, s.version,
       (SELECT count(*) FROM pump WHERE pump.site = s.site AND erased_at IS NULL) AS pumps
FROM site AS s WHERE {which} ORDER BY s.site LIMIT $2
"""
_AFTER: Final = _SITES.format(which="s.site > $1 AND ($3::text[] IS NULL OR s.site = ANY ($3))")
_ONE: Final = _SITES.format(which="s.site = $1")
_LOCKED: Final = "SELECT name, time_zone, retention_d, version FROM site WHERE site = $1 FOR NO KEY UPDATE"
_WRITE: Final = """
INSERT INTO site (site, name, time_zone, retention_d) VALUES ($1, $2, $3, $4)
ON CONFLICT (site) DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone,
    retention_d = excluded.retention_d, version = site.version + 1
WHERE (site.name, site.time_zone, site.retention_d)
    IS DISTINCT FROM (excluded.name, excluded.time_zone, excluded.retention_d)
"""


async def sites(
    connection: asyncpg.Connection, *, after: str, limit: int, seen: list[str] | None = None
) -> list[asyncpg.Record]:
    """After the site `after`, in order, each with how many pumps it has; `seen`: of these alone."""
    rows: list[asyncpg.Record] = await connection.fetch(_AFTER, after, limit, seen)
    return rows


async def site(connection: asyncpg.Connection, name: str) -> asyncpg.Record | None:
    return await connection.fetchrow(_ONE, name, 1)


async def locked(connection: asyncpg.Connection, name: str) -> asyncpg.Record | None:
    """Its entry; a change in the same transaction cannot be overtaken."""
    return await connection.fetchrow(_LOCKED, name)


async def write(connection: asyncpg.Connection, key: str, name: str, time_zone: str, retention_d: int | None) -> None:
    """Enter it, or change it. Its version counts the changes."""
    await connection.execute(_WRITE, key, name, time_zone, retention_d)
