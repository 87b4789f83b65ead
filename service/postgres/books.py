"""What is stored of a pump's sequence over a span of time, and what is known of the rest? For core/completeness.py."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from service.core.claim import claimed
from service.core.completeness import Books, Run, books_of
from service.core.pipeline import Decisions
from service.core.sequence import Gap
from service.core.spans import Span

BEGINNING: Final = datetime(1969, 1, 1, tzinfo=UTC)
END: Final = datetime(9999, 1, 1, tzinfo=UTC)
# A position's time is at most a day before that of an earlier one (core/clocks.py).
_OUT_OF_ORDER: Final = timedelta(days=1)
_ROWS_AT_ONCE: Final = 200
_SHARDS: Final = 64

# Lowest and highest position measured in a span.
_BOUNDS: Final = """
SELECT min(low) AS low, max(high) AS high FROM (
    SELECT min(position) AS low, max(position) AS high FROM reading
    WHERE pump = $1 AND measured_at >= $2 AND measured_at < $3
    UNION ALL
    SELECT min(position), max(position) FROM event WHERE pump = $1 AND measured_at >= $2 AND measured_at < $3
) AS found
"""
# The last stored position below another one: near it in time, or else the newest that was measured before.
_BEFORE: Final = """
SELECT greatest(
    coalesce(
        (SELECT max(position) FROM reading
         WHERE pump = $1 AND position < $2 AND measured_at >= $3 AND measured_at < $4),
        (SELECT position FROM reading WHERE pump = $1 AND measured_at < $5 ORDER BY measured_at DESC LIMIT 1)
    ),
    (SELECT max(position) FROM event WHERE pump = $1 AND position < $2)
)
"""
_MORE: Final = """
SELECT EXISTS (SELECT FROM reading WHERE pump = $1 AND measured_at >= $2 AND position > $3)
    OR EXISTS (SELECT FROM event WHERE pump = $1 AND position > $3)
"""
# What is stored between two positions, as runs without a hole; `items` also counts what is there twice.
_RUNS: Final = """
SELECT min(position) AS first, max(position) AS last, min(measured_at) AS first_at, max(measured_at) AS last_at,
       count(*) AS items
FROM (
    SELECT position, measured_at, position - dense_rank() OVER (ORDER BY position) AS run
    FROM (
        SELECT position, measured_at FROM reading
        WHERE pump = $1 AND measured_at >= $2 AND measured_at < $3 AND position BETWEEN $4 AND $5
        UNION ALL
        SELECT position, measured_at FROM event WHERE pump = $1 AND position BETWEEN $4 AND $5
    ) AS held
) AS ranked
GROUP BY run ORDER BY 1
"""
_GAPS: Final = """
SELECT from_position, to_position, lost FROM gap WHERE pump = $1 AND closed_at IS NULL AND from_position <= $2
"""
_THROUGH: Final = "SELECT through FROM rule_checkpoint WHERE pump = $1 AND taken_on IS NULL"
_ASIDE: Final = "SELECT head FROM quarantine WHERE topic = ANY ($1::text[]) AND received_at >= $2"
_COUNTED: Final = """
SELECT coalesce((SELECT sum(items) FROM duplicate_day WHERE pump = $1 AND day BETWEEN $3 AND $4), 0)::bigint
           AS duplicates,
       coalesce((SELECT sum(messages) FROM quarantine_day WHERE pump_id = $2 AND day BETWEEN $3 AND $4), 0)::bigint
           AS messages
"""


class Ledger(NamedTuple):
    """One pump's books over a span, and what was counted on the days (UTC, our time) that the span touches."""

    books: Books
    doubled: int  # stored twice: this must not be
    duplicates: int  # came again although they were stored
    aside: int  # messages that could not be taken, with those that quarantine had no room for


async def ledger(
    connection: asyncpg.Connection,
    key: int,
    pump_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Ledger:
    """Of one pump over [since, until), as measured; without either over all that is stored. One moment's view."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        runs, doubled, before = await _stored(connection, key, since or BEGINNING, until or END)
        last = runs[-1].last if runs else -1
        more = runs and until is not None and await connection.fetchval(_MORE, key, until - _OUT_OF_ORDER, last)
        gaps = [Gap(*row) for row in await connection.fetch(_GAPS, key, last)]
        through = await connection.fetchval(_THROUGH, key)
        claims = [span async for span in _claims(connection, pump_id, since or BEGINNING)]
        days = (since or BEGINNING).date(), (until or END).date()
        counted = await connection.fetchrow(_COUNTED, key, pump_id, *days)
    through = -1 if through is None else through
    books = books_of(runs, before=before, gaps=gaps, claims=claims, through=through, newest=not more)
    return Ledger(books, doubled, counted["duplicates"], counted["messages"])


async def _stored(
    connection: asyncpg.Connection, key: int, since: datetime, until: datetime
) -> tuple[list[Run], int, int | None]:
    """The runs of a span, how much of it is there twice, and the last position before it."""
    bounds = await connection.fetchrow(_BOUNDS, key, since, until)
    if bounds["low"] is None:
        return [], 0, None
    before = None
    if since > BEGINNING:
        near = since - _OUT_OF_ORDER, since + _OUT_OF_ORDER
        before = await connection.fetchval(_BEFORE, key, bounds["low"], *near, since)
    rows = await connection.fetch(_RUNS, key, since - _OUT_OF_ORDER, until + _OUT_OF_ORDER, *bounds)
    runs = [Run(row["first"], row["last"], row["first_at"], row["last_at"]) for row in rows]
    doubled = sum(row["items"] - (row["last"] - row["first"] + 1) for row in rows)
    return runs, doubled, before


async def _claims(connection: asyncpg.Connection, pump_id: str, since: datetime) -> AsyncIterator[Span]:
    """What the pump's quarantined messages would have filled, however many there are."""
    async for row in connection.cursor(_ASIDE, topics_of(pump_id), since - _OUT_OF_ORDER, prefetch=_ROWS_AT_ONCE):
        span = claimed(row["head"])
        if span is not None:
            yield span


def topics_of(pump_id: str) -> list[str]:
    """Every topic under which a pump's messages can have come, as quarantine has them."""
    own = [f"pumps/v1/{pump_id}/{kind}" for kind in ("telemetry", "event", "status")]
    return own + [f"shard/{shard}/{topic}" for shard in range(_SHARDS) for topic in own]


# So many positions of some pumps came again today.
_COUNT_DUPLICATES: Final = """
INSERT INTO duplicate_day AS counted (pump, day, items)
SELECT pump, $2, count(*) FROM unnest($1::integer[]) AS given (pump) GROUP BY pump ORDER BY pump
ON CONFLICT (pump, day) DO UPDATE SET items = counted.items + excluded.items
"""


async def count_duplicates(connection: asyncpg.Connection, decisions: Decisions, now: datetime) -> None:
    """Enter what a batch brought that was stored already, in its transaction."""
    again = decisions.batch.items["pump"][~decisions.admission.stored]
    if len(again):
        await connection.execute(_COUNT_DUPLICATES, again.tolist(), now.astimezone(UTC).date())
