"""What did people record of a pump that the wire cannot say? Refills, MRI exams, absences, exchanges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import asyncpg
import msgspec

from service.postgres.accounts import audit
from service.postgres.registry import CHANNEL


class Kind(StrEnum):
    REFILL = "refill"
    MRI_WINDOW = "mri_window"  # a stall in it is told of as one that an exam explains
    ABSENCE = "absence"  # silence is expected: it is not told of before this is over
    EXCHANGE = "exchange"  # another pump took its place
    OUT_OF_SERVICE = "out_of_service"  # nothing is raised of it until it is put back


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    kind: Kind
    from_at: datetime
    until_at: datetime | None = None
    body: Mapping[str, float | None] = field(default_factory=dict)
    note: str = ""
    successor: int | None = None


class CareRefusedError(Exception):
    """It does not fit what is recorded already; the text says what."""


_PUMP: Final = "SELECT pump FROM pump WHERE pump_id = $1 AND erased_at IS NULL FOR NO KEY UPDATE"
# One at a time: the exam is a fact of the pump.
_STANDS: Final = """
SELECT recorded_by, from_at, until_at FROM care WHERE pump = $1 AND kind = $2 AND ended_at IS NULL AND until_at > $3
LIMIT 1
"""
_RECORD: Final = """
INSERT INTO care (pump, kind, from_at, until_at, body, note, successor, recorded_at, recorded_by)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8, $9) RETURNING id
"""
_DECLARE_MRI: Final = "UPDATE pump SET mri_from_at = $2, mri_until_at = $3, updated_at = now() WHERE pump = $1"
_NEXT_REFILL: Final = """
UPDATE pump SET next_refill_on = $2, version = version + 1, updated_at = now()
WHERE pump = $1 AND next_refill_on IS DISTINCT FROM $2
"""


async def record(
    connection: asyncpg.Connection, pump_id: str, recorded: Recorded, actor: str, now: datetime, **also: Any
) -> int | None:
    """Record it, in the caller's transaction; its number. None: there is no such pump. Raises CareRefusedError.

    `next_refill_on`, beside a refill: what the registry says from now on.
    """
    key = await connection.fetchval(_PUMP, pump_id)
    if key is None:
        return None
    if recorded.until_at is not None:
        other = await connection.fetchrow(_STANDS, key, recorded.kind, now)
        if other is not None:
            what = recorded.kind.replace("_", " ")
            raise CareRefusedError(
                f"{other['recorded_by']} has recorded an {what} from {_said(other['from_at'])} to "
                f"{_said(other['until_at'])}: end it first"
            )
    number: int = await connection.fetchval(
        _RECORD,
        key,
        recorded.kind,
        recorded.from_at,
        recorded.until_at,
        msgspec.json.encode(recorded.body).decode(),
        recorded.note,
        recorded.successor,
        now,
        actor,
    )
    if recorded.kind is Kind.MRI_WINDOW:
        await connection.execute(_DECLARE_MRI, key, recorded.from_at, recorded.until_at)
    if also.get("next_refill_on") is not None:
        await connection.execute(_NEXT_REFILL, key, also["next_refill_on"])
    await connection.execute(f"NOTIFY {CHANNEL}")
    # Neither the note nor a volume: the audit stays when a pump is forgotten.
    detail = {"number": number, "from": recorded.from_at, "until": recorded.until_at}
    await audit(connection, actor, f"{recorded.kind}_recorded", pump_id, detail)
    return number


_COLUMNS: Final = """
c.id, p.pump_id, c.kind, c.from_at, c.until_at, c.body::text AS body, c.note, s.pump_id AS successor,
c.recorded_at, c.recorded_by, c.ended_at, c.ended_by
"""
_FROM: Final = "FROM care AS c JOIN pump AS p USING (pump) LEFT JOIN pump AS s ON s.pump = c.successor"
_PAGE: Final = f"""
SELECT {_COLUMNS} {_FROM}
WHERE c.pump = $1 AND c.id < $2 AND ($3::text[] IS NULL OR c.kind = ANY ($3))
    AND ($4::timestamptz IS NULL OR coalesce(c.until_at, c.from_at) >= $4)
    AND ($5::timestamptz IS NULL OR c.from_at < $5)
ORDER BY c.id DESC LIMIT $6
"""
_STANDING: Final = f"""
SELECT {_COLUMNS} {_FROM} WHERE c.pump = $1 AND c.ended_at IS NULL AND (c.kind = $2 OR c.until_at > $3)
ORDER BY c.id DESC
"""
_ONE: Final = f"SELECT {_COLUMNS} {_FROM} WHERE p.pump_id = $1 AND c.id = $2 AND p.erased_at IS NULL"


async def page(
    connection: asyncpg.Connection,
    key: int,
    *,
    before: int,
    kinds: list[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int,
) -> list[asyncpg.Record]:
    """What was recorded of a pump, what was recorded last first; what touches a span, where one is given."""
    rows: list[asyncpg.Record] = await connection.fetch(_PAGE, key, before, kinds, since, until, limit)
    return rows


async def standing(connection: asyncpg.Connection, key: int, now: datetime) -> list[asyncpg.Record]:
    """What of it is so at `now`, or will be, however long ago it was recorded. Time alone may end it."""
    rows: list[asyncpg.Record] = await connection.fetch(_STANDING, key, Kind.OUT_OF_SERVICE, now)
    return rows


async def one(connection: asyncpg.Connection, pump_id: str, number: int) -> asyncpg.Record | None:
    return await connection.fetchrow(_ONE, pump_id, number)


_END: Final = "UPDATE care SET ended_at = $2, ended_by = $3 WHERE id = $1"
_LOCKED: Final = """
SELECT c.pump, c.kind, c.from_at, c.until_at, c.ended_at, c.ended_by FROM care AS c JOIN pump AS p USING (pump)
WHERE p.pump_id = $1 AND c.id = $2 AND p.erased_at IS NULL FOR UPDATE OF c, p
"""


async def end(connection: asyncpg.Connection, pump_id: str, number: int, actor: str, now: datetime) -> bool:
    """End what lasts, or take back what was recorded by mistake. False: there is none. Raises CareRefusedError."""
    async with connection.transaction():
        row = await connection.fetchrow(_LOCKED, pump_id, number)
        if row is None:
            return False
        if row["ended_at"] is not None:
            raise CareRefusedError(f"{row['ended_by']} has ended it at {_said(row['ended_at'])}")
        if row["kind"] == Kind.EXCHANGE:
            raise CareRefusedError("an exchange stays: change the registry entries of the two pumps")
        if row["kind"] == Kind.OUT_OF_SERVICE:
            raise CareRefusedError("it is over when the pump is put back into service")
        if row["until_at"] is not None and row["until_at"] <= now:
            raise CareRefusedError(f"it was over at {_said(row['until_at'])}")
        await connection.execute(_END, number, now, actor)
        if row["kind"] == Kind.MRI_WINDOW:
            begun = row["from_at"] < now
            await connection.execute(_DECLARE_MRI, row["pump"], *((row["from_at"], now) if begun else (None, None)))
        await connection.execute(f"NOTIFY {CHANNEL}")
        await audit(connection, actor, f"{row['kind']}_ended", pump_id, {"number": number})
    return True


def _said(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
