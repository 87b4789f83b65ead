"""Is the service watching? What keeps it from that, as one line each."""

from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.shards import ranges_of
from service.postgres import canary
from service.postgres.migrate import MigrationError, pending_on

ROLES: Final = ("ingest", "watch", "deliver")
MARKER_FRESH_FOR: Final = timedelta(seconds=15)
HEARTBEAT_FRESH_FOR: Final = timedelta(seconds=10)

_SHARDS = "SELECT shard, marker_at, reason FROM shard ORDER BY shard"
_HEARTBEATS = "SELECT role, instance, at, ready, reason FROM role_heartbeat ORDER BY role, instance"


async def reasons_not_ready(connection: asyncpg.Connection, now: datetime) -> list[str]:
    """Return every reason, empty when all is well."""
    return [why for _, why in await broken_links(connection, now)]


async def broken_links(connection: asyncpg.Connection, now: datetime) -> list[tuple[str, str]]:
    """Each link that is broken, and why: schema current, shards caught up, each role alive and well, canary heard."""
    if wrong := await _schema(connection):
        return [("database", wrong)]  # what follows may not even be there
    shards = await connection.fetch(_SHARDS)
    found = [] if shards else [("ingest", "no shard has an ingester")]
    behind: dict[str, list[int]] = {}
    for row in shards:
        at = row["marker_at"]
        if at is None or now - at >= MARKER_FRESH_FOR:
            behind.setdefault(row["reason"] or _ago("its last marker", at, now), []).append(row["shard"])
    for why, which in behind.items():
        link = "broker" if why.startswith("broker") else "ingest"
        found.append((link, f"shard {ranges_of(which)} is not caught up: {why}"))
    beats = await connection.fetch(_HEARTBEATS)
    for role in ROLES:
        # Rows of processes that are gone stay behind; they say nothing once another has taken over.
        fresh = [row for row in beats if row["role"] == role and now - row["at"] < HEARTBEAT_FRESH_FOR]
        if not fresh:
            last = max((row["at"] for row in beats if row["role"] == role), default=None)
            found.append((role, f"{role} is not running: {_ago('its last heartbeat', last, now)}"))
        found += [
            (role, f"{role} is not ready: {row['reason'] or 'no reason given'}") for row in fresh if not row["ready"]
        ]
    if lost := await canary.lost(connection, now):
        found.append(("canary", f"not watching: the canary's fault of {lost.since:%H:%M:%S} UTC {lost.reason}"))
    return found


async def _schema(connection: asyncpg.Connection) -> str:
    try:
        missing = await pending_on(connection)
    except MigrationError as error:
        return f"database: {error}"
    return (
        f"database: the schema is older than this version; `pumpwatch migrate` applies {len(missing)}"
        if missing
        else ""
    )


def _ago(what: str, at: datetime | None, now: datetime) -> str:
    return f"{what} was {(now - at).total_seconds():.0f} s ago" if at else f"{what} never came"
