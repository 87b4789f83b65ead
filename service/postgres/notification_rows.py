"""How do notifications get into the outbox and out of it again, and who was asked of which alert?

However many there are, it takes one statement.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from service.core.delivery import ASKS_NOTHING
from service.core.lifecycle import NotificationKind
from service.core.routing import Route
from service.core.telling import Asked
from service.postgres.alert_rows import columns_of, json_of


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """The fields are columns of the table `notification`; the others have defaults."""

    id: str
    alert_id: UUID
    number: int
    endpoint: UUID
    kind: NotificationKind
    priority: str
    body: dict[str, Any]
    created_at: datetime
    due_at: datetime


_ROUTES: Final = """
SELECT id AS endpoint, accepts_simulated, enabled, name, priorities, canary FROM endpoint WHERE enabled
"""


async def routes(connection: asyncpg.Connection) -> list[Route]:
    rows = await connection.fetch(_ROUTES)
    return [Route(**{**row, "priorities": frozenset(row["priorities"])}) for row in rows]


# When each of some pumps was last heard, by our clock.
_LAST_HEARD: Final = "SELECT pump, received_at FROM pump_latest WHERE pump = ANY ($1::integer[])"


async def last_heard(connection: asyncpg.Connection, pumps: Collection[int]) -> dict[int, datetime]:
    return {row["pump"]: row["received_at"] for row in await connection.fetch(_LAST_HEARD, list(pumps))}


# Who may have been told of some alerts. A lease counts: its request may be under way. Locked: none begins meanwhile.
_ASKED: Final = """
SELECT alert_id, endpoint, bool_or(attempts > 0 OR lease_token IS NOT NULL) AS attempted,
       bool_or(state = 'pending') AS waiting
FROM (
    SELECT alert_id, endpoint, attempts, lease_token, state FROM notification
    WHERE alert_id = ANY ($1::uuid[]) AND kind <> ALL ($2::text[])
    ORDER BY id
    FOR UPDATE
) AS asking
WHERE state <> 'collapsed'
GROUP BY alert_id, endpoint
"""


async def lock_asked(connection: asyncpg.Connection, alerts: Collection[UUID]) -> dict[UUID, Asked]:
    """Who was asked to act, by alert; alerts of which nobody was are left out."""
    asked: dict[UUID, Asked] = {}
    if alerts:
        for row in await connection.fetch(_ASKED, list(alerts), sorted(ASKS_NOTHING)):
            each = asked.setdefault(row["alert_id"], Asked())
            each.ever.add(row["endpoint"])
            if row["attempted"]:
                each.attempted.add(row["endpoint"])
            if row["waiting"]:
                each.waiting.add(row["endpoint"])
    return asked


_INSERT_NOTIFICATIONS: Final = f"""
INSERT INTO notification ({columns_of(NotificationRow)})
SELECT {columns_of(NotificationRow)} FROM jsonb_populate_recordset(NULL::notification, $1::text::jsonb)
"""


async def insert_notifications(connection: asyncpg.Connection, rows: Sequence[NotificationRow]) -> None:
    if rows:
        await connection.execute(_INSERT_NOTIFICATIONS, json_of(rows))


# An endpoint that was never told that it began need not be told the rest.
_COLLAPSE: Final = """
UPDATE notification AS n SET state = 'collapsed', settled_at = $2
WHERE n.alert_id = ANY ($1::uuid[]) AND n.state = 'pending' AND n.attempts = 0 AND n.lease_token IS NULL
    AND NOT EXISTS (
        SELECT FROM notification AS activated
        WHERE activated.alert_id = n.alert_id AND activated.endpoint = n.endpoint
            AND activated.kind <> ALL ($3::text[])
            AND (activated.attempts > 0 OR activated.lease_token IS NOT NULL)
    )
"""


async def collapse(connection: asyncpg.Connection, alerts: Collection[UUID], now: datetime) -> None:
    if alerts:
        await connection.execute(_COLLAPSE, list(alerts), now, sorted(ASKS_NOTHING))


# What was held until the pump has caught up, and was not tried yet.
_RELEASE: Final = """
UPDATE notification AS n SET due_at = $2
FROM alert AS a
WHERE a.id = n.alert_id AND a.pump = ANY ($1::integer[])
    AND n.state = 'pending' AND n.attempts = 0 AND n.lease_token IS NULL AND n.due_at > $2
RETURNING n.id
"""


async def release(connection: asyncpg.Connection, pumps: Collection[int], now: datetime) -> int:
    """Return how many became due."""
    return len(await connection.fetch(_RELEASE, list(pumps), now))
