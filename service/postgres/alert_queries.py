"""What do the views ask of alerts? A page of them, and one with its history and everybody who was told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from service.core.canary import SUBJECT
from service.postgres.seen import of_sites

_COLUMNS: Final = """
    a.id, a.subject, p.pump_id, coalesce(p.site, a.site) AS site, a.condition, a.kind, a.priority, a.state,
    a.state_since, a.latching, a.began_at, a.detected_at, a.raised_at, a.resolved_at, a.found_late, a.reason,
    a.acknowledged_at, a.acknowledged_by,
    a.previous_id, a.inhibited_by, a.shelved_until, a.shelved_by, a.shelf_reason, a.chattering,
    a.escalation->'policy'->>'name' AS policy, a.escalate_at, a.simulated, a.rulebook_version, a.version
"""

# Newest first, after the (time, id) where the page before ended.
_PAGE = f"""
SELECT {_COLUMNS}
FROM alert AS a LEFT JOIN pump AS p ON p.pump = a.pump
WHERE ($1::timestamptz IS NULL OR a.raised_at < $1 OR (a.raised_at = $1 AND a.id > $2))
    AND ($3::text[] IS NULL OR a.state = ANY($3)) AND ($4::text IS NULL OR p.pump_id = $4)
    AND ($5::text[] IS NULL OR a.condition = ANY($5)) AND ($6::text[] IS NULL OR a.priority = ANY($6))
    AND ($7::timestamptz IS NULL OR a.raised_at >= $7) AND ($8::text IS NULL OR a.subject = $8)
    AND {of_sites("$10")} AND ($11::timestamptz IS NULL OR a.raised_at < $11)
    AND ($12::text IS NULL OR coalesce(p.site, a.site) = $12) AND ($13::text[] IS NULL OR a.kind = ANY ($13))
    AND ($14::boolean IS NULL OR (a.acknowledged_at IS NOT NULL) = $14)
    AND ($15::boolean IS NULL OR (a.shelved_until IS NOT NULL) = $15)
    AND (a.subject <> '{SUBJECT}' OR $4 IS NOT NULL OR $8 IS NOT NULL) -- nobody need look at the canary's
ORDER BY a.raised_at DESC, a.id LIMIT $9
"""


async def alerts(
    connection: asyncpg.Connection,
    *,
    after: tuple[datetime, UUID] | None,
    states: Sequence[str] | None,
    pump_id: str | None,
    conditions: Sequence[str] | None,
    priorities: Sequence[str] | None,
    since: datetime | None,
    subject: str | None = None,
    seen: list[str] | None = None,
    until: datetime | None = None,
    site: str | None = None,
    kinds: Sequence[str] | None = None,
    acknowledged: bool | None = None,
    shelved: bool | None = None,
    limit: int,
) -> list[asyncpg.Record]:
    """Alerts raised at or after `since`; `seen`: of these sites alone. None stands for any."""
    at, alert_id = after or (None, None)
    rows: list[asyncpg.Record] = await connection.fetch(
        _PAGE,
        *(at, alert_id, states, pump_id, conditions, priorities, since, subject, limit, seen),
        *(until, site, kinds, acknowledged, shelved),
    )
    return rows


_ONE = f"""
SELECT {_COLUMNS}, a.evidence::text AS evidence
FROM alert AS a LEFT JOIN pump AS p ON p.pump = a.pump WHERE a.id = $1
"""


async def alert(connection: asyncpg.Connection, alert_id: UUID) -> asyncpg.Record | None:
    """`evidence` is JSON text."""
    return await connection.fetchrow(_ONE, alert_id)


_VERSION = """
SELECT a.version, h.actor, h.event FROM alert AS a
LEFT JOIN alert_history AS h ON h.alert_id = a.id AND h.number = a.version
WHERE a.id = $1 FOR UPDATE OF a
"""


async def lock_version(connection: asyncpg.Connection, alert_id: UUID) -> asyncpg.Record | None:
    """Its version, and who made it that by what; it cannot change until the transaction ends."""
    return await connection.fetchrow(_VERSION, alert_id)


# Of which pumps an alert tells as well: how many, and the first of them.
_INHIBITED = """
SELECT p.pump_id, count(*) OVER () AS pumps
FROM alert AS a JOIN pump AS p USING (pump) WHERE a.inhibited_by = $1 ORDER BY p.pump_id LIMIT 20
"""


async def inhibited(connection: asyncpg.Connection, alert_id: UUID) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(_INHIBITED, alert_id)
    return rows


_HISTORY = """
SELECT number, at, event, actor, note, position, state, priority
FROM alert_history WHERE alert_id = $1 ORDER BY number
"""


async def history(connection: asyncpg.Connection, alert_id: UUID) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(_HISTORY, alert_id)
    return rows


# Who was to be told what, in the order of asking; each attempt is an element of the JSON in `tries`.
_NOTIFICATIONS = """
SELECT n.id, e.name AS endpoint, n.kind, n.priority, n.state, n.created_at, n.due_at, n.settled_at,
       coalesce((
           SELECT jsonb_agg(jsonb_build_object(
               'number', t.number, 'at', t.at, 'outcome', t.outcome, 'status', t.status,
               'duration_ms', t.duration_ms, 'detail', t.detail) ORDER BY t.number, t.id)
           FROM attempt AS t WHERE t.notification_id = n.id
       ), '[]')::text AS tries
FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint
WHERE n.alert_id = $1 ORDER BY n.number, e.name
"""


async def notifications(connection: asyncpg.Connection, alert_id: UUID) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(_NOTIFICATIONS, alert_id)
    return rows
