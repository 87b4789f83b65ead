"""Which imports changed the registry, and how is one undone? Each entry is kept as it was before and as it became."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import msgspec

from service.core.registry import COLUMNS, RegistryEntry
from service.postgres import registry
from service.postgres.accounts import audit
from service.postgres.erasure import ERASED

NAMED_AT_MOST: Final = 20


class Imported(NamedTuple):
    number: int | None
    """None: nothing was to be changed, so there is nothing to undo."""
    created: int
    changed: int
    unchanged: int


class UndoRefusedError(Exception):
    """It cannot be taken back as a whole; the text says why."""


_REGISTERED: Final = "registered"
# In the order of the ids, as they are written: two imports at once wait for each other.
_BEFORE: Final = f"""
SELECT pump_id, {registry.ENTRY_COLUMNS}, {_REGISTERED} FROM pump WHERE pump_id = ANY ($1::text[])
ORDER BY pump_id FOR NO KEY UPDATE
"""
_KEEP: Final = """
INSERT INTO registry_import (name, made_at, made_by, created, changed, unchanged) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id
"""
_KEEP_ENTRIES: Final = """
INSERT INTO registry_import_entry (import, pump, version, before)
SELECT $1, pump.pump, given.version, given.before::jsonb
FROM unnest($2::text[], $3::integer[], $4::text[]) AS given (pump_id, version, before) JOIN pump USING (pump_id)
"""


async def import_entries(
    connection: asyncpg.Connection,
    entries: Sequence[RegistryEntry],
    actor: str,
    name: str,
    now: datetime,
    shard: int = 0,
) -> Imported:
    """Make the registry say what `entries` say, all or nothing, in the caller's transaction. `name`: of the file."""
    before = {row["pump_id"]: row for row in await connection.fetch(_BEFORE, [entry.pump_id for entry in entries])}
    written = await registry.upsert(connection, entries, shard)
    versions = written.created | written.changed
    detail = {"name": name, "created": list(written.created), "changed": written.changed}
    await audit(connection, actor, "pumps_imported", f"{len(entries)} pumps", detail)
    counts = len(written.created), len(written.changed), len(entries) - len(versions)
    if not versions:
        return Imported(None, *counts)
    number: int = await connection.fetchval(_KEEP, name, now, actor, *counts)
    kept = [_kept(before.get(pump_id)) for pump_id in versions]
    await connection.execute(_KEEP_ENTRIES, number, list(versions), list(versions.values()), kept)
    return Imported(number, *counts)


def _kept(row: asyncpg.Record | None) -> str | None:
    if row is None or not row[_REGISTERED]:
        return None
    return msgspec.json.encode(registry.as_entry(row)).decode()


_LISTED: Final = """
SELECT id, name, made_at, made_by, created, changed, unchanged, undone_at, undone_by FROM registry_import
"""
_PAGE: Final = f"{_LISTED} WHERE id < $1 ORDER BY id DESC LIMIT $2"
_ONE: Final = f"{_LISTED} WHERE id = $1"


async def imports(connection: asyncpg.Connection, *, before: int, limit: int) -> list[asyncpg.Record]:
    """The newest first."""
    rows: list[asyncpg.Record] = await connection.fetch(_PAGE, before, limit)
    return rows


async def import_of(connection: asyncpg.Connection, number: int) -> asyncpg.Record | None:
    return await connection.fetchrow(_ONE, number)


_LOCKED: Final = "SELECT undone_at, undone_by FROM registry_import WHERE id = $1 FOR UPDATE"
# What an import changed, as it is now; a pump that was erased meanwhile has no entry any more.
_ENTRIES: Final = """
SELECT p.pump, p.pump_id, p.shard, p.version = e.version AS as_it_became, e.before::text AS before
FROM registry_import_entry AS e JOIN pump AS p USING (pump)
WHERE e.import = $1 AND p.erased_at IS NULL ORDER BY p.pump_id FOR NO KEY UPDATE OF p
"""
_UNDONE: Final = "UPDATE registry_import SET undone_at = $2, undone_by = $3 WHERE id = $1"


async def undo(connection: asyncpg.Connection, number: int, actor: str, now: datetime, shard: int = 0) -> bool:
    """Make the registry say what it said before the import, all or nothing. False: there is no such import.

    A pump that the import listed first is unlisted again; one that has never been heard is gone. Raises
    UndoRefusedError where an entry was changed since.
    """
    async with connection.transaction():
        row = await connection.fetchrow(_LOCKED, number)
        if row is None:
            return False
        if row["undone_at"] is not None:
            raise UndoRefusedError(f"{row['undone_by']} has undone it at {row['undone_at']:%Y-%m-%d %H:%M} UTC")
        entries = await connection.fetch(_ENTRIES, number)
        if changed := [entry["pump_id"] for entry in entries if not entry["as_it_became"]]:
            first = ", ".join(changed[:NAMED_AT_MOST])
            raise UndoRefusedError(f"{len(changed)} of its entries were changed since: {first}")
        listed = [entry["before"] for entry in entries if entry["before"] is not None]
        await registry.upsert(connection, [msgspec.json.decode(each, type=RegistryEntry) for each in listed], shard)
        unlisted = [entry for entry in entries if entry["before"] is None]
        await _unlist(connection, unlisted, now)
        await connection.execute(_UNDONE, number, now, actor)
        detail = {"import": number, "restored": len(listed), "unlisted": len(unlisted)}
        await audit(connection, actor, "import_undone", str(number), detail)
    return True


# The ingesters hold pumps in memory: they end at their next batch, and begin anew with what is listed then.
_FENCE: Final = "UPDATE shard SET epoch = epoch + 1 WHERE shard = ANY ($1::integer[])"
_NEVER_HEARD: Final = """
SELECT pump FROM pump AS p WHERE pump = ANY ($1::integer[])
    AND NOT EXISTS (SELECT FROM pump_latest AS said WHERE said.pump = p.pump)
    AND NOT EXISTS (SELECT FROM stored_reading AS said WHERE said.pump = p.pump)
    AND NOT EXISTS (SELECT FROM late_reading AS said WHERE said.pump = p.pump)
    AND NOT EXISTS (SELECT FROM event AS said WHERE said.pump = p.pump)
"""
_SET_BACK: Final = ", ".join(
    f"{name} = DEFAULT" for name in COLUMNS if name not in {"pump_id", "in_service", "simulated"}
)
_UNLIST: Final = f"""
UPDATE pump SET {_SET_BACK}, in_service = true, registered = false, version = version + 1, updated_at = now()
WHERE pump = ANY ($1::integer[])
"""
# Under another name, so that it is enrolled like any other if it is heard one day.
_REMOVE: Final = f"""
UPDATE pump SET {_SET_BACK}, in_service = false, registered = false, version = version + 1, updated_at = now(),
    pump_id = replace('{ERASED}', '{{key}}', pump::text), erased_at = $2
WHERE pump = ANY ($1::integer[])
"""


async def _unlist(connection: asyncpg.Connection, entries: Collection[asyncpg.Record], now: datetime) -> None:
    if not entries:
        return
    await connection.execute(_FENCE, list({entry["shard"] for entry in entries}))
    keys = [entry["pump"] for entry in entries]
    gone = {row["pump"] for row in await connection.fetch(_NEVER_HEARD, keys)}
    await connection.execute(_UNLIST, [key for key in keys if key not in gone])
    await connection.execute(_REMOVE, list(gone), now)
    await connection.execute(f"NOTIFY {registry.CHANNEL}")
