"""What has changed since, in an order that nothing is ever put into afterwards? The feed behind the stream."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

import asyncpg

CHANNEL: Final = "pumpwatch_change"
KEPT_FOR: Final = timedelta(days=2)
AT_ONCE: Final = 1_000


class Place(NamedTuple):
    """Where in the feed: what was read up to here will never get anything before it."""

    txid: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """From a stream's event id; None if it is none."""
        txid, _, number = text.partition("-")
        if not (txid.isdecimal() and number.isdecimal() and len(text) <= 40):
            return None
        return cls(int(txid), int(number))

    def __str__(self) -> str:
        return f"{self.txid}-{self.number}"


class Changed(NamedTuple):
    place: Place
    kind: str
    """`alert` or `verdict`."""
    pump_id: str | None
    site: str | None
    body: str
    """JSON."""


# Only what no transaction that is still at work can get before. The site is that where the pump is now.
_AFTER: Final = """
SELECT txid::text::bigint AS txid, number, kind, c.pump_id, coalesce(p.site, c.site) AS site, body::text AS body
FROM change AS c LEFT JOIN pump AS p ON p.pump_id = c.pump_id
WHERE (txid, number) > ($1::text::xid8, $2) AND txid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY txid, number LIMIT $3
"""
_PENDING: Final = "SELECT EXISTS (SELECT FROM change WHERE txid >= pg_snapshot_xmin(pg_current_snapshot()))"


async def after(connection: asyncpg.Connection, place: Place, most: int = AT_ONCE) -> list[Changed]:
    """What was changed after a place, oldest first, at most so many."""
    rows = await connection.fetch(_AFTER, str(place.txid), place.number, most)
    return [
        Changed(Place(row["txid"], row["number"]), row["kind"], row["pump_id"], row["site"], row["body"])
        for row in rows
    ]


async def pending(connection: asyncpg.Connection) -> bool:
    """Whether something is committed that cannot be read yet, since an older transaction is still at work."""
    waiting: bool = await connection.fetchval(_PENDING)
    return waiting


_NEWEST: Final = """
SELECT txid::text::bigint AS txid, number FROM change WHERE txid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY change.txid DESC, number DESC LIMIT 1
"""
_OLDEST: Final = "SELECT txid::text::bigint AS txid, number FROM change ORDER BY change.txid, number LIMIT 1"


async def newest(connection: asyncpg.Connection) -> Place:
    row = await connection.fetchrow(_NEWEST)
    return Place(0, 0) if row is None else Place(row["txid"], row["number"])


async def reaches_back_to(connection: asyncpg.Connection, place: Place) -> bool:
    """Whether everything after `place` is still kept."""
    row = await connection.fetchrow(_OLDEST)
    return row is not None and Place(row["txid"], row["number"]) <= place


async def forget(connection: asyncpg.Connection, now: datetime) -> int:
    """Whoever comes back later than this reads anew. Returns how many rows are gone."""
    said = await connection.execute("DELETE FROM change WHERE at < $1", now - KEPT_FOR)
    return int(said.rpartition(" ")[2])


# What was heard last of some pumps, where it came after a time.
_LATEST: Final = """
SELECT p.pump_id, p.site, l.received_at, jsonb_build_object(
    'pump_id', p.pump_id, 'site', p.site, 'measured_at', l.measured_at, 'received_at', l.received_at,
    'program_ml_d', l.program_ml_d, 'flow_ml_d', l.flow_ml_d, 'reservoir_ml', l.reservoir_ml,
    'battery_v', l.battery_v)::text AS body
FROM pump AS p JOIN pump_latest AS l USING (pump)
WHERE p.pump_id = ANY ($1::text[]) AND l.received_at > $2 AND l.measured_at IS NOT NULL ORDER BY l.received_at
"""


async def latest_of(connection: asyncpg.Connection, pump_ids: Collection[str], since: datetime) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(_LATEST, list(pump_ids), since)
    return rows
