"""What became of each notification? Pages of them, one with all its attempts, and another chance for what failed."""

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from service.postgres.accounts import audit
from service.postgres.seen import of_sites
from service.postgres.waking import CHANNEL, UNDELIVERED


class NotRedrivableError(Exception):
    """It cannot be sent again; the text says why."""


_COLUMNS: Final = """
    n.id, n.alert_id, n.number, e.name AS endpoint, n.endpoint AS endpoint_id, n.kind, n.priority, n.state,
    n.created_at, n.due_at, n.settled_at, n.redriven_at, n.attempts, n.failures, n.failed_since,
    last.outcome AS last_outcome, last.status AS last_status, last.detail AS last_detail
"""
_FROM: Final = """
FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint
LEFT JOIN LATERAL (
    SELECT outcome, status, detail FROM attempt AS a WHERE a.notification_id = n.id ORDER BY a.number DESC, a.id DESC
    LIMIT 1
) AS last ON true
"""

# Newest first, after the (time, id) where the page before ended.
_PAGE: Final = f"""
SELECT {_COLUMNS} {_FROM}
WHERE ($1::timestamptz IS NULL OR (n.created_at, n.id) < ($1, $2))
    AND ($3::text[] IS NULL OR n.state = ANY ($3)) AND ($4::text IS NULL OR e.name = $4 OR e.id::text = $4)
    AND ($5::uuid IS NULL OR n.alert_id = $5) AND ($6::text[] IS NULL OR last.outcome = ANY ($6))
    AND ($7::timestamptz IS NULL OR n.created_at >= $7)
    AND ($9::text[] IS NULL OR EXISTS (SELECT FROM alert AS a WHERE a.id = n.alert_id AND {of_sites("$9")}))
ORDER BY n.created_at DESC, n.id DESC LIMIT $8
"""


async def deliveries(
    connection: asyncpg.Connection,
    *,
    after: tuple[datetime, str] | None = None,
    states: list[str] | None = None,
    endpoint: str | None = None,
    alert_id: UUID | None = None,
    outcomes: list[str] | None = None,
    since: datetime | None = None,
    seen: list[str] | None = None,
    limit: int = 100,
) -> list[asyncpg.Record]:
    """`endpoint` is its name or id, `outcomes` those of the last attempt, `seen` sites; None stands for any."""
    at, notification_id = after or (None, None)
    rows: list[asyncpg.Record] = await connection.fetch(
        _PAGE, at, notification_id, states, endpoint, alert_id, outcomes, since, limit, seen
    )
    return rows


_ONE: Final = f"SELECT {_COLUMNS}, n.body::text AS body {_FROM} WHERE n.id = $1"
_ATTEMPTS: Final = """
SELECT number, at, outcome, status, duration_ms, detail, headers::text AS headers, answer
FROM attempt WHERE notification_id = $1 ORDER BY id
"""


async def delivery(connection: asyncpg.Connection, notification_id: str) -> asyncpg.Record | None:
    """`body` is JSON text: our own, before it is put into the endpoint's form."""
    return await connection.fetchrow(_ONE, notification_id)


async def attempts(connection: asyncpg.Connection, notification_id: str) -> list[asyncpg.Record]:
    """`headers` is JSON text."""
    rows: list[asyncpg.Record] = await connection.fetch(_ATTEMPTS, notification_id)
    return rows


_KNOWN: Final = "SELECT EXISTS (SELECT FROM endpoint WHERE deleted_at IS NULL AND (name = $1 OR id::text = $1))"


async def knows_endpoint(connection: asyncpg.Connection, endpoint: str) -> bool:
    """Whether there is an endpoint of this name or id."""
    return bool(await connection.fetchval(_KNOWN, endpoint))


# To send `activated` after `resolved` had arrived would open at the endpoint what is over: the newer one said it all.
_SUPERSEDED: Final = """
EXISTS (SELECT FROM notification AS newer
        WHERE newer.alert_id = n.alert_id AND newer.endpoint = n.endpoint AND newer.number > n.number
            AND newer.state = 'delivered')
"""
_LOOK: Final = f"""
SELECT n.state, e.enabled, e.name, {_SUPERSEDED} AS superseded
FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint WHERE n.id = $1 FOR UPDATE OF n
"""
# The same row: the same id, the same place in the order of its alert. Its waits and its patience begin anew.
_REDRIVE: Final = f"""
UPDATE notification AS n
SET state = 'pending', due_at = statement_timestamp(), redriven_at = statement_timestamp(), settled_at = NULL,
    failures = 0, failed_since = NULL, claimed_at = NULL
FROM endpoint AS e
WHERE e.id = n.endpoint AND e.enabled AND n.state = 'failed' AND ($1::text IS NULL OR n.id = $1)
    AND ($2::text IS NULL OR e.name = $2 OR e.id::text = $2) AND NOT {_SUPERSEDED}
RETURNING n.id
"""


async def redrive(connection: asyncpg.Connection, notification_id: str, actor: str) -> None:
    """Send one again that was given up. Raises NotRedrivableError."""
    async with connection.transaction():
        row = await connection.fetchrow(_LOOK, notification_id)
        if row is None:
            raise NotRedrivableError("there is no such notification")
        if row["state"] != "failed":
            raise NotRedrivableError(f"it is {row['state']}: only what was given up can be sent again")
        if not row["enabled"]:
            raise NotRedrivableError(f"the endpoint {row['name']} is disabled: enable it first")
        if row["superseded"]:
            raise NotRedrivableError("a newer notification of its alert has arrived there: this one is out of date")
        await connection.fetch(_REDRIVE, notification_id, None)
        await audit(connection, actor, "notification_redriven", notification_id, {"endpoint": row["name"]})
        await connection.execute(f"NOTIFY {CHANNEL}")


# What is under way is not touched: its outcome is about to be known.
_GIVE_UP: Final = """
UPDATE notification AS n SET state = 'failed', settled_at = statement_timestamp()
FROM endpoint AS e
WHERE e.id = n.endpoint AND n.state = 'pending' AND (e.name = $1 OR e.id::text = $1)
    AND (n.lease_until IS NULL OR n.lease_until < statement_timestamp())
RETURNING n.id
"""


async def give_up_all(connection: asyncpg.Connection, endpoint: str, actor: str) -> int:
    """Try no longer what one endpoint has yet to be told; how many it was."""
    async with connection.transaction():
        ids = await connection.fetch(_GIVE_UP, endpoint)
        if ids:
            await audit(connection, actor, "notifications_given_up", endpoint, {"count": len(ids)})
            await connection.execute(f"NOTIFY {UNDELIVERED}")
    return len(ids)


async def redrive_all(connection: asyncpg.Connection, endpoint: str | None, actor: str) -> int:
    """Send again everything that was given up, at one endpoint or at all that are enabled; how many.

    In order for each alert. What a newer notification has made out of date stays as it is.
    """
    async with connection.transaction():
        ids = await connection.fetch(_REDRIVE, None, endpoint)
        if ids:
            await audit(connection, actor, "notifications_redriven", endpoint or "all", {"count": len(ids)})
            await connection.execute(f"NOTIFY {CHANNEL}")
    return len(ids)
