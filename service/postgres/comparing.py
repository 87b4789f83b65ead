"""What is stored in the place of something that came again?

A pump sends again what lies together, so it is found as it lies: by runs of positions, each within a span of time. Of a
run of a thousand that costs what one costs that is looked for alone; compressed, they are taken apart once, together.
"""

from datetime import timedelta
from typing import Final

import asyncpg
import numpy as np
import numpy.typing as npt

from service.core.conflict import places_of
from service.core.reading import ITEM, EventType, Items
from service.postgres.readings import EVENT_VALUES, READING_VALUES, copy_out, instant

# What is stored of runs. The fences let each be found by its key and no table be read through; the last two bounds are
# known before anything is looked at, so that the days beyond them are left alone.
_WITHIN: Final = f"""
    WITH given AS (
        SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
            AS given (pump, first, last, since, until)
    )
    SELECT {READING_VALUES} FROM given CROSS JOIN LATERAL (
        SELECT * FROM reading
        WHERE reading.pump = given.pump AND measured_at BETWEEN given.since AND given.until
            AND position BETWEEN given.first AND given.last AND measured_at BETWEEN $6 AND $7
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT {EVENT_VALUES} FROM given CROSS JOIN LATERAL (
        SELECT * FROM event WHERE event.pump = given.pump AND position BETWEEN given.first AND given.last OFFSET 0
    ) AS e
    ORDER BY 1, 2
"""
_NEAR: Final = 10
"""Positions: to read what lies between two that are so near costs no more than to look for both."""

_NEAR_MOVED: Final = 4_096
"""The same where a time is not known: to look for one, a day of the pump's before it and after is gone through."""

_AT_ONCE_MS: Final = 3_600_000
"""A run goes on over no longer silence, nor back in time: it would span days that have nothing of it."""


async def stored_as(connection: asyncpg.Connection, items: Items, apart: timedelta) -> Items:
    """What is stored in the places of these items, `pump` being the database's key, and was measured within `apart`
    of them. Where a place has several, what is stored at the very time of the item comes first.
    """
    if not len(items):
        return np.zeros(0, ITEM)
    found = await _within(connection, items, apart)
    ours = places_of(found, items)
    found, ours = found[ours >= 0], ours[ours >= 0]
    return found.take(np.argsort(_is_elsewhere(found, items[ours]), kind="stable"))


async def stored_under(connection: asyncpg.Connection, items: Items) -> Items:
    """What is stored under the very keys of these items: events by position, readings by their time as well."""
    found = await stored_as(connection, items, timedelta(0))
    if not len(found):
        return found
    return found.compress(~_is_elsewhere(found, items[places_of(found, items)]))


def _is_elsewhere(found: Items, ours: Items) -> npt.NDArray[np.bool_]:
    is_reading = found["kind"] == EventType.READING
    elsewhere: npt.NDArray[np.bool_] = is_reading & (found["measured_ms"] != ours["measured_ms"])
    return elsewhere


async def _within(connection: asyncpg.Connection, items: Items, apart: timedelta) -> Items:
    items = items.take(np.lexsort((items["position"], items["pump"])))
    pump, position, measured_ms = items["pump"], items["position"], items["measured_ms"]
    apart_ms = int(apart.total_seconds() * 1000)
    step_ms = np.diff(measured_ms)
    ends = (np.diff(pump) != 0) | (np.abs(step_ms) > _AT_ONCE_MS + 2 * apart_ms)
    ends |= np.diff(position) > (_NEAR_MOVED if apart_ms else _NEAR)
    if not apart_ms:
        ends |= step_ms < 0
    starts = np.r_[0, np.flatnonzero(ends) + 1]
    lasts = np.r_[starts[1:] - 1, len(items) - 1]
    since_ms = np.minimum.reduceat(measured_ms, starts) - apart_ms
    until_ms = np.maximum.reduceat(measured_ms, starts) + apart_ms
    return await copy_out(
        connection,
        _WITHIN,
        pump[starts].tolist(),
        position[starts].tolist(),
        position[lasts].tolist(),
        [instant(ms) for ms in since_ms.tolist()],
        [instant(ms) for ms in until_ms.tolist()],
        instant(since_ms.min()),
        instant(until_ms.max()),
    )
