"""What have people set over the rulebook file? One value a row; a row is ended, never changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

import asyncpg
import msgspec

from service.core.override import Override
from service.core.rulebook_check import Mistake, read
from service.postgres.accounts import audit
from service.postgres.registry import CHANNEL

_OPEN: Final = """
    SELECT id, scope, name, section, key, value, reason, author, expires_at FROM rule_override
    WHERE ended_at IS NULL ORDER BY id
"""
_ALL: Final = """
    SELECT id, scope, name, section, key, value, reason, author, made_at, expires_at, ended_at, ended_by
    FROM rule_override WHERE $1 OR (ended_at IS NULL AND (expires_at IS NULL OR expires_at > $2))
        AND ($3::text[] IS NULL OR CASE scope
            WHEN 'site' THEN name = ANY ($3)
            WHEN 'pump' THEN EXISTS (SELECT FROM pump WHERE pump_id = name AND site = ANY ($3))
            ELSE true END)
    ORDER BY id DESC
"""
_REPLACE: Final = """
    UPDATE rule_override SET ended_at = $5, ended_by = $6
    WHERE scope = $1 AND name = $2 AND section = $3 AND key = $4 AND ended_at IS NULL
"""
_SET: Final = """
    INSERT INTO rule_override (scope, name, section, key, value, reason, author, made_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id
"""
_END: Final = """
    UPDATE rule_override SET ended_at = $2, ended_by = $3 WHERE id = $1 AND ended_at IS NULL RETURNING scope, name
"""
_SITES: Final = "SELECT site FROM site"
_PUMP_IDS: Final = "SELECT pump_id FROM pump WHERE pump_id = ANY ($1::text[])"


async def open_overrides(connection: asyncpg.Connection) -> list[Override]:
    """Those that nobody has ended, in the order in which they were made; some may have expired.

    One that this version can no longer take is left out: `refused` names it.
    """
    return [override for row in await connection.fetch(_OPEN) for override in _read(row)[0]]


async def refused(connection: asyncpg.Connection) -> list[str]:
    """What is wrong with open overrides, by their numbers: set by a version that knew other limits."""
    return [f"override {row['id']}: {what}" for row in await connection.fetch(_OPEN) for _, what in _read(row)[1]]


async def listed(
    connection: asyncpg.Connection, now: datetime, *, ended: bool, seen: list[str] | None = None
) -> list[dict[str, Any]]:
    """The newest first; those that are over too, where `ended`; `seen`: what concerns pumps of these sites."""
    rows = await connection.fetch(_ALL, ended, now, seen)
    return [{**row, "value": msgspec.json.decode(row["value"])} for row in rows]


async def set_override(connection: asyncpg.Connection, override: Override, actor: str, now: datetime) -> int:
    """Put it in place of an open one for the same value, and return its number. It was checked before."""
    value = msgspec.json.encode(override.value).decode()
    place = str(override.scope), override.name, override.section, override.key
    expires_at = None if override.expires_ms is None else datetime.fromtimestamp(override.expires_ms / 1000, now.tzinfo)
    async with connection.transaction():
        await connection.execute(_REPLACE, *place, now, actor)
        number: int = await connection.fetchval(_SET, *place, value, override.reason, override.author, now, expires_at)
        detail = {"path": override.path, "value": override.value, "reason": override.reason, "expires_at": expires_at}
        await audit(connection, actor, "rule_override_set", str(number), detail | {"author": override.author})
        await connection.execute(f"NOTIFY {CHANNEL}")
    return number


async def end_override(connection: asyncpg.Connection, number: int, actor: str, now: datetime) -> bool:
    """False if there is no open one of this number."""
    async with connection.transaction():
        row = await connection.fetchrow(_END, number, now, actor)
        if row is None:
            return False
        await audit(connection, actor, "rule_override_ended", str(number), dict(row))
        await connection.execute(f"NOTIFY {CHANNEL}")
    return True


async def known_names(connection: asyncpg.Connection, pump_ids: list[str]) -> tuple[set[str], set[str]]:
    """The sites that there are, and those of `pump_ids` that there are."""
    sites = {row["site"] for row in await connection.fetch(_SITES)}
    return sites, {row["pump_id"] for row in await connection.fetch(_PUMP_IDS, pump_ids)}


def _read(row: Mapping[str, Any]) -> tuple[list[Override], list[Mistake]]:
    """Through the same checks as a file."""
    said = {"value": msgspec.json.decode(row["value"]), "reason": row["reason"], "author": row["author"]}
    if row["expires_at"] is not None:
        said["expires"] = row["expires_at"]
    tables = {row["scope"]: {row["name"]: {row["section"]: {row["key"]: said}}}}
    overrides, mistakes = read(cast("dict[str, Any]", tables))
    return [override._replace(number=row["id"]) for override in overrides], mistakes
