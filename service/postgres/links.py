"""May this acknowledgement link still be used? Once, while the endpoint that was sent it is enabled."""

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

# A link works once; True if this was the first time.
_USE_LINK: Final = """
INSERT INTO used_link (alert_id, endpoint, number, used_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
RETURNING true
"""
_USED: Final = "SELECT used_at FROM used_link WHERE alert_id = $1 AND endpoint = $2 AND number = $3"
_ENDPOINT_OF_LINK: Final = """
SELECT e.name FROM endpoint AS e JOIN notification AS n ON n.endpoint = e.id
WHERE e.id = $2 AND e.enabled AND n.alert_id = $1 AND n.number = $3
"""


async def use_link(connection: asyncpg.Connection, alert_id: UUID, endpoint: UUID, number: int, now: datetime) -> bool:
    return bool(await connection.fetchval(_USE_LINK, alert_id, endpoint, number, now))


async def link_used_at(connection: asyncpg.Connection, alert_id: UUID, endpoint: UUID, number: int) -> datetime | None:
    used_at: datetime | None = await connection.fetchval(_USED, alert_id, endpoint, number)
    return used_at


async def endpoint_of_link(connection: asyncpg.Connection, alert_id: UUID, endpoint: UUID, number: int) -> str | None:
    """The endpoint's name, if it is enabled and was told of this alert in this notification."""
    name: str | None = await connection.fetchval(_ENDPOINT_OF_LINK, alert_id, endpoint, number)
    return name
