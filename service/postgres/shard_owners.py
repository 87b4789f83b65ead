"""Who has which shard of a cluster, for people; and who is to have it, where a person says so."""

from collections.abc import Collection, Sequence
from typing import Final

import asyncpg

# By ingester: its shards, those of them that are caught up, and when it was last seen.
_OWNERS: Final = """
SELECT coalesce(s.instance, i.instance, '') AS instance,
    array_remove(array_agg(s.shard ORDER BY s.shard), NULL) AS shards,
    count(*) FILTER (WHERE s.marker_at > now() - interval '15 s' AND s.marker_at >= s.session_since) AS caught_up,
    array_agg(s.shard ORDER BY s.shard) FILTER (WHERE s.wanted_by IS NOT NULL) AS pinned,
    extract(epoch FROM now() - max(i.seen_at))::float8 AS seen_s_ago
FROM shard AS s FULL JOIN ingester AS i ON i.instance = s.instance
GROUP BY 1 ORDER BY 1
"""
_WANT: Final = "UPDATE shard SET wanted_by = $2 WHERE shard = ANY ($1::integer[]) RETURNING shard"
_KNOWN: Final = "SELECT EXISTS (SELECT FROM ingester WHERE instance = $1 AND takes @> $2::integer[])"


async def owners(connection: asyncpg.Connection) -> Sequence[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(_OWNERS)
    return rows


async def want(connection: asyncpg.Connection, shards: Collection[int], instance: str | None) -> int:
    """Let `instance` have these, once both it and who has them have looked; None: whoever has room. How many there are.

    Raises LookupError where no ingester is called so, or it may not have them.
    """
    if instance is not None and not await connection.fetchval(_KNOWN, instance, list(shards)):
        raise LookupError(f"no ingester is called {instance} and may have these shards")
    return len(await connection.fetch(_WANT, list(shards), instance))
