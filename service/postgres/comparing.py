"""What is stored in the place of something that came again?"""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

import asyncpg
import numpy as np

from service.core.reading import Items
from service.postgres.readings import EVENT_VALUES, READING_VALUES, copy_out, instant

# What is stored under some keys. The subquery has a limit, so that each key is looked up and no table is read through.
_KNOWN: Final = f"""
    WITH given AS (
        SELECT * FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[]) AS given (pump, position, measured_at)
    )
    SELECT {READING_VALUES} FROM given CROSS JOIN LATERAL (
        SELECT * FROM reading
        WHERE reading.pump = given.pump AND reading.measured_at = given.measured_at
            AND reading.position = given.position
        LIMIT 1
    ) AS r
    UNION ALL
    SELECT {EVENT_VALUES} FROM given JOIN event e ON e.pump = given.pump AND e.position = given.position
    ORDER BY 1, 2
"""
# The same by position alone, of some pumps each within a span of time.
_NEAR: Final = f"""
    WITH given AS (
        SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
            AS given (pump, first, last, since, until)
    )
    SELECT {READING_VALUES} FROM given CROSS JOIN LATERAL (
        SELECT * FROM reading
        WHERE reading.pump = given.pump AND reading.measured_at BETWEEN given.since AND given.until
            AND reading.position BETWEEN given.first AND given.last
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT {EVENT_VALUES} FROM given JOIN event e ON e.pump = given.pump AND e.position BETWEEN first AND last
    ORDER BY 1, 2
"""
_NEAR_BY: Final = timedelta(days=1)
PUMPS_AT_ONCE: Final = 50
"""Of which positions are looked for under another time: a day of each is read for it."""


async def stored_under(connection: asyncpg.Connection, items: Items) -> Items:
    """What is stored under the keys of these items, `pump` being the database's key."""
    measured = [instant(ms) for ms in items["measured_ms"].tolist()]
    return await copy_out(connection, _KNOWN, items["pump"].tolist(), items["position"].tolist(), measured)


async def stored_as(connection: asyncpg.Connection, items: Items, untimed: Collection[int]) -> Items:
    """The same; and what is stored in their places under another time, a day before or after at most, except of the
    pumps `untimed`, of which that says nothing.
    """
    known = await stored_under(connection, items)
    places = set(zip(known["pump"].tolist(), known["position"].tolist(), strict=True))
    absent = [
        place
        for place, (pump, position) in enumerate(zip(items["pump"].tolist(), items["position"].tolist(), strict=True))
        if pump not in untimed and (pump, position) not in places
    ]
    pumps = list(dict.fromkeys(items["pump"][absent].tolist()))[:PUMPS_AT_ONCE]
    if not pumps:
        return known
    spans = []
    for pump in pumps:
        own = items[absent][items["pump"][absent] == pump]
        since, until = instant(own["measured_ms"].min()) - _NEAR_BY, instant(own["measured_ms"].max()) + _NEAR_BY
        spans.append((pump, int(own["position"].min()), int(own["position"].max()), since, until))
    near = await copy_out(connection, _NEAR, *map(list, zip(*spans, strict=True)))
    wanted = np.isin(near["position"], items["position"][absent])
    return np.concatenate([known, near[wanted]])
