"""Which contacts, rotas, policies and rules are there? Every version is kept; the newest counts."""

from collections.abc import Collection
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg
import msgspec

from service.core.roster import FORMS, Document, Roster
from service.postgres.accounts import audit

# Everything that counts now.
_ROSTER: Final = "SELECT kind, name, version, document::text AS document, changed_at, changed_by FROM roster"
_SITE_NAMES: Final = "SELECT site FROM site"
_ENDPOINT_NAMES: Final = "SELECT name FROM endpoint WHERE deleted_at IS NULL"
_VERSION: Final = "SELECT max(version) FROM escalation_policy WHERE kind = $1 AND name = $2"
_PUT: Final = """
INSERT INTO escalation_policy (kind, name, version, document, changed_at, changed_by)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6)
"""
# Whoever changes the roster has looked at all of it: one at a time.
_MY_TURN: Final = "SELECT pg_advisory_xact_lock(hashtext('pumpwatch roster'))"


async def load(connection: asyncpg.Connection, zones: Collection[str] = ()) -> Roster:
    """All of it, with its time zones and those that are asked for."""
    rows = await connection.fetch(_ROSTER)
    documents = [(row["kind"], row["name"], decoded(row["kind"], row["document"])) for row in rows]
    needed = {*zones, *(str(getattr(document, "time_zone", "")) for _, _, document in documents)}
    return Roster.of(documents, {name: zone for name in needed if (zone := _zone(name)) is not None})


async def kept(connection: asyncpg.Connection, kind: str, name: str | None = None) -> list[asyncpg.Record]:
    """Those of a kind, or the one of a name, with version, document (JSON text), and who changed it when."""
    rows: list[asyncpg.Record] = await connection.fetch(
        f"{_ROSTER} WHERE kind = $1 AND ($2::text IS NULL OR name = $2) ORDER BY name", kind, name
    )
    return rows


async def names(connection: asyncpg.Connection) -> tuple[set[str], set[str]]:
    """Of all endpoints, and of all sites."""
    endpoints = {row["name"] for row in await connection.fetch(_ENDPOINT_NAMES)}
    return endpoints, {row["site"] for row in await connection.fetch(_SITE_NAMES)}


async def zone_of_site(connection: asyncpg.Connection, site: str | None) -> str:
    """The name of a site's time zone; UTC of one that is not known."""
    zone: str | None = await connection.fetchval("SELECT time_zone FROM site WHERE site = $1", site)
    return zone or "UTC"


async def lock(connection: asyncpg.Connection) -> None:
    """Nobody else changes the roster until the end of this transaction."""
    await connection.execute(_MY_TURN)


async def put(
    connection: asyncpg.Connection, kind: str, name: str, document: Document | None, actor: str, now: datetime
) -> int:
    """Write a new version, after `lock`; None deletes. Returns its number."""
    text = None if document is None else msgspec.json.encode(document).decode()
    version: int = (await connection.fetchval(_VERSION, kind, name) or 0) + 1
    await connection.execute(_PUT, kind, name, version, text, now, actor)
    detail: dict[str, Any] = {"version": version, "document": None if text is None else msgspec.json.decode(text)}
    action = f"{kind}_deleted" if document is None else f"{kind}_changed"
    await audit(connection, actor, action, name, detail)
    return version


@lru_cache(maxsize=4096)
def decoded(kind: str, text: str) -> Document:
    return msgspec.json.decode(text, type=FORMS[kind])


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
