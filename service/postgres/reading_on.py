"""How is a long history read back in order, a part at a time? By time, as it is stored, up to what is surely whole."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import numpy as np

from service.core.reading import ITEM, EventType, Items
from service.postgres.readings import EVENT_VALUES, READING_VALUES, copy_out, instant

_A_DAY: Final = timedelta(days=1)

# The first readings of each pump, by time, and the first of its events, by position, after what was read before.
_FIRST: Final = f"""
    WITH wanted AS (
        SELECT * FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[]) AS wanted (pump, after, since)
    )
    SELECT {READING_VALUES}
    FROM wanted CROSS JOIN LATERAL (
        SELECT * FROM reading
        WHERE reading.pump = wanted.pump AND position > wanted.after
            AND measured_at >= wanted.since - interval '1 day' AND measured_at >= $4::timestamptz
        ORDER BY measured_at, position LIMIT $5
    ) AS r
    UNION ALL
    SELECT {EVENT_VALUES}
    FROM wanted CROSS JOIN LATERAL (
        SELECT * FROM event WHERE event.pump = wanted.pump AND position > wanted.after ORDER BY position LIMIT $5
    ) AS e
    ORDER BY 1, 2
"""
# The lowest position of each pump among what was not read of it. A position's time is at most a day before that of an
# earlier one (core/clocks.py): what was measured later than that comes after all that was read.
_LOWEST_UNREAD: Final = """
    SELECT wanted.pump, min(reading.position) AS position
    FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::bigint[]) AS wanted (pump, after, until, last)
    JOIN reading ON reading.pump = wanted.pump AND reading.position > wanted.after
        AND (measured_at, reading.position) > (wanted.until, wanted.last)
        AND measured_at <= wanted.until + interval '1 day' AND measured_at >= $5::timestamptz
    GROUP BY wanted.pump
"""
_NONE: Final = np.iinfo(np.int64).max

Wanted = Mapping[int, tuple[int, datetime]]
"""By key: after which position, and from when on."""


async def read_on(
    connection: asyncpg.Connection, keys: Sequence[int], after: Sequence[int], since: Sequence[datetime], most: int
) -> tuple[Items, set[int]]:
    """Return the next items of pumps `keys` beyond positions `after`, sorted by key and position, and of which pumps
    there may be more.

    About `most` of each pump, and one at least if there is any. `since`: see readings.read_back.
    """
    parts: list[Items] = []
    more: set[int] = set()
    wanted: Wanted = dict(zip(keys, zip(after, since, strict=True), strict=True))
    while wanted:
        items, unread = await _read_some(connection, wanted, most)
        parts.append(items)
        more = (more - wanted.keys()) | unread.keys()
        # Of a pump whose positions and times go against each other it may take more to have anything whole.
        wanted = {key: wanted[key] for key in unread.keys() - set(np.unique(items["pump"]).tolist())}
        most *= 8
    found = np.concatenate(parts) if parts else np.zeros(0, ITEM)
    return found.take(np.lexsort((found["position"], found["pump"]))) if len(parts) > 1 else found, more


async def _read_some(connection: asyncpg.Connection, wanted: Wanted, most: int) -> tuple[Items, dict[int, int]]:
    """What is read of each pump without a hole, and where what is not read begins, where it is not all."""
    after, since = zip(*wanted.values(), strict=True)
    items = await copy_out(connection, _FIRST, list(wanted), after, since, min(since) - _A_DAY, most)
    is_event = items["kind"] != EventType.READING
    unread = {key: int(read["position"][-1]) + 1 for key, read in _cut_short(items[is_event], most)}
    newest = {key: _newest(read) for key, read in _cut_short(items[~is_event], most)}
    if newest:
        until = [instant(int(read["measured_ms"])) for read in newest.values()]
        last = [int(read["position"]) for read in newest.values()]
        from_ = [wanted[key][0] for key in newest]
        rows = await connection.fetch(_LOWEST_UNREAD, list(newest), from_, until, last, min(until))
        lowest = {row["pump"]: row["position"] for row in rows}
        unread |= {key: min(unread.get(key, _NONE), lowest.get(key, _NONE)) for key in newest}
    pumps, inverse = np.unique(items["pump"], return_inverse=True)
    limit = np.array([unread.get(key, _NONE) for key in pumps.tolist()], np.int64)
    return items.compress(items["position"] < limit[inverse]) if len(items) else items, unread


def _cut_short(items: Items, most: int) -> Iterator[tuple[int, Items]]:
    """Yield those pumps of which as many were read as were asked for, with what was read."""
    pumps, firsts, counts = np.unique(items["pump"], return_index=True, return_counts=True)
    for pump, first, count in zip(pumps.tolist(), firsts.tolist(), counts.tolist(), strict=True):
        if count >= most:
            yield pump, items[first : first + count]


def _newest(items: Items) -> np.void:
    """The last by time, and by position where times are equal: as they were read."""
    found: np.void = items[np.lexsort((items["position"], items["measured_ms"]))[-1]]
    return found
