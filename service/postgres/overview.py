"""What does the board show of everything? The sites, and how the pipeline is."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg


async def sites(connection: asyncpg.Connection) -> list[str]:
    return [row["site"] for row in await connection.fetch("SELECT site FROM site ORDER BY site")]


class Pipeline(NamedTuple):
    figures: Mapping[str, str]
    roles: Sequence[asyncpg.Record]
    shards: Sequence[asyncpg.Record]
    quarantine: Sequence[asyncpg.Record]
    endpoints: Sequence[asyncpg.Record]


_FIGURES: Final = """
SELECT (SELECT count(*) FROM pump WHERE in_service) AS in_service,
       (SELECT count(*) FROM pump_latest WHERE received_at > $1::timestamptz - interval '2 minutes') AS heard,
       (SELECT count(*) FROM alert WHERE state <> 'resolved' AND inhibited_by IS NULL) AS open,
       (SELECT count(*) FROM notification WHERE state = 'pending') AS waiting,
       (SELECT count(*) FROM undelivered_page) AS undelivered
"""
_ROLES: Final = "SELECT role, instance, at, ready, reason FROM role_heartbeat WHERE at > $1 ORDER BY role, instance"
_SHARDS: Final = "SELECT shard, owner, marker_at, reason FROM shard ORDER BY shard"
_QUARANTINE: Final = """
SELECT reason, count(*) AS messages, max(received_at) AS last_at FROM quarantine
WHERE received_at > $1 GROUP BY reason ORDER BY messages DESC LIMIT 20
"""
_ENDPOINTS: Final = """
SELECT e.name AS endpoint, count(*) FILTER (WHERE n.state = 'delivered') AS delivered,
       count(*) FILTER (WHERE n.state = 'pending') AS pending, count(*) FILTER (WHERE n.state = 'failed') AS failed
FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint WHERE n.created_at > $1 GROUP BY e.name ORDER BY e.name
"""


async def pipeline(connection: asyncpg.Connection, now: datetime) -> Pipeline:
    day = now - timedelta(days=1)
    row = await connection.fetchrow(_FIGURES, now)
    return Pipeline(
        figures={
            "Pumps in service": f"{row['in_service']:,}",
            "Heard in two minutes": f"{row['heard']:,}",
            "Open alerts": f"{row['open']:,}",
            "Notifications waiting": f"{row['waiting']:,}",
            "Pages not delivered": f"{row['undelivered']:,}",
        },
        roles=await connection.fetch(_ROLES, now - timedelta(minutes=10)),
        shards=await connection.fetch(_SHARDS),
        quarantine=await connection.fetch(_QUARANTINE, day),
        endpoints=await connection.fetch(_ENDPOINTS, day),
    )
