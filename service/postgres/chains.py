"""Are history and audit what they were when they were written? And the root of each day, to be kept elsewhere too."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

import asyncpg

from service.core.chain import Entry, broken, chain_time, root

SETTLED_AFTER: Final = timedelta(minutes=10)
"""A transaction that began before midnight has ended by then."""

ROWS_AT_ONCE: Final = 5_000

_HISTORY: Final = """
SELECT h.alert_id, h.number, h.at, h.event, h.actor, h.note, h.position, h.state, h.priority, h.hash, a.version
FROM alert_history AS h JOIN alert AS a ON a.id = h.alert_id ORDER BY h.alert_id, h.number
"""
_WITHOUT: Final = (
    "SELECT id FROM alert AS a WHERE NOT EXISTS (SELECT FROM alert_history WHERE alert_id = a.id) LIMIT 100"
)
_AUDIT: Final = "SELECT number, at, actor, action, subject, detail::text AS detail, hash FROM audit ORDER BY number"
_ROOTS: Final = "SELECT day, entries, audited, root FROM history_root ORDER BY day"
_FIRST_DAY: Final = """
SELECT coalesce(
    (SELECT max(day) + 1 FROM history_root),
    (SELECT min(at AT TIME ZONE 'UTC')::date FROM alert_history))
"""
_LAST_ROOT: Final = "SELECT root FROM history_root WHERE day < $1 ORDER BY day DESC LIMIT 1"
_OF_DAY: Final = "SELECT hash FROM alert_history WHERE at >= $1 AND at < $2 ORDER BY alert_id, number"
_NEWEST_AUDIT: Final = "SELECT number, hash FROM audit WHERE at < $1 ORDER BY number DESC LIMIT 1"
_AUDIT_AT: Final = "SELECT hash FROM audit WHERE number = $1"
_ADD: Final = """
INSERT INTO history_root (day, entries, audited, root) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""


class Verified(NamedTuple):
    entries: int
    audited: int
    days: int
    problems: list[str]


async def verify(connection: asyncpg.Connection) -> Verified:
    """Read all of it, as it stood at one moment, and say where it is broken."""
    problems: list[str] = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        entries = 0
        async for alert_id, rows in _by_alert(connection):
            entries += len(rows)
            found = broken(map(_of_history, rows), rows[0]["version"])
            problems += [f"alert {alert_id}: entry {number} of its history {what}" for number, what in found]
        for row in await connection.fetch(_WITHOUT):
            problems.append(f"alert {row['id']}: all of its history is missing")
        audit = await connection.fetch(_AUDIT)
        problems += [f"audit: entry {number} {what}" for number, what in broken(map(_of_audit, audit))]
        roots = await connection.fetch(_ROOTS)
        for row in roots:
            made = await _root(connection, row["day"], row["audited"])
            if made != (row["entries"], row["root"]):
                problems.append(f"{row['day']}: its root is of {row['entries']} entries, and not of what is there now")
    return Verified(entries, len(audit), len(roots), problems)


async def add_roots(connection: asyncpg.Connection, now: datetime) -> list[date]:
    """Make the roots of the days that are over; the days."""
    day: date | None = await connection.fetchval(_FIRST_DAY)
    made = []
    while day is not None and datetime.combine(day + timedelta(days=1), time(), UTC) + SETTLED_AFTER <= now:
        newest = await connection.fetchrow(_NEWEST_AUDIT, datetime.combine(day + timedelta(days=1), time(), UTC))
        audited = 0 if newest is None else newest["number"]
        entries, digest = await _root(connection, day, audited)
        await connection.execute(_ADD, day, entries, audited, digest)
        made.append(day)
        day += timedelta(days=1)
    return made


async def _root(connection: asyncpg.Connection, day: date, audited: int) -> tuple[int, bytes]:
    begins = datetime.combine(day, time(), UTC)
    hashes = [row["hash"] for row in await connection.fetch(_OF_DAY, begins, begins + timedelta(days=1))]
    previous = await connection.fetchval(_LAST_ROOT, day) or b""
    newest = await connection.fetchval(_AUDIT_AT, audited) or b""
    return len(hashes), root(previous, day.isoformat(), hashes, newest)


async def _by_alert(connection: asyncpg.Connection) -> AsyncIterator[tuple[Any, list[asyncpg.Record]]]:
    """All entries of one alert after those of another, however many there are in all."""
    cursor = await connection.cursor(_HISTORY)
    held: list[asyncpg.Record] = []
    while rows := await cursor.fetch(ROWS_AT_ONCE):
        held += rows
        groups = [(key, list(group)) for key, group in itertools.groupby(held, lambda row: row["alert_id"])]
        for group in groups[:-1]:
            yield group
        held = groups[-1][1]
    if held:
        yield held[0]["alert_id"], held


def _of_history(row: asyncpg.Record) -> Entry:
    position = None if row["position"] is None else str(row["position"])
    fields = [str(row["alert_id"]), str(row["number"]), chain_time(row["at"]), row["event"], row["actor"], row["note"]]
    return Entry(row["number"], [*fields, position, row["state"], row["priority"]], row["hash"])


def _of_audit(row: asyncpg.Record) -> Entry:
    fields = [str(row["number"]), chain_time(row["at"]), row["actor"], row["action"], row["subject"], row["detail"]]
    return Entry(row["number"], fields, row["hash"])
