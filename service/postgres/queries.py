"""What do the views ask of pumps? Pages of pumps, readings, gaps and events, each by one query over an index."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

import asyncpg

# What a pump is, said last, and has open. `real` goes through its shortest text, so 20.3 stays 20.3.
_PUMPS = """
SELECT p.pump, p.pump_id, p.site, p.time_zone, p.model, p.flow_channel, p.reservoir_channel,
       p.capacity_ml::text::float8 AS capacity_ml, p.drug, p.drug_class,
       p.concentration_ug_ml::text::float8 AS concentration_ug_ml, p.interval_s::text::float8 AS interval_s,
       p.next_refill_on, p.bolus_daily_cap_ul::text::float8 AS bolus_daily_cap_ul, p.implanted_on,
       p.in_service, p.registered, p.simulated, p.version, p.updated_at,
       l.received_at, l.measured_at, l.position, l.program_ml_d, l.flow_ml_d, l.reservoir_ml, l.battery_v, l.mode,
       l.empty_judged, l.empty_nominal_d, l.empty_conservative_d, l.empty_optimistic_d,
       a.open_alerts, a.silent_since, v.written,
       p.mri_from_at, p.mri_until_at, away.absent_from_at, away.absent_until_at,
       (SELECT s.pump_id FROM care AS c JOIN pump AS s ON s.pump = c.successor
        WHERE c.pump = p.pump AND c.kind = 'exchange') AS replaced_by,
       (SELECT o.pump_id FROM care AS c JOIN pump AS o ON o.pump = c.pump WHERE c.successor = p.pump) AS replaces
FROM ({chosen}) AS p
LEFT JOIN pump_latest AS l ON l.pump = p.pump
CROSS JOIN LATERAL (
    SELECT count(*) AS open_alerts,
           min(began_at) FILTER (WHERE condition = 'silence' AND state = 'active') AS silent_since
    FROM alert WHERE alert.pump = p.pump AND state <> 'resolved'
) AS a
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(condition, jsonb_build_array(verdict, since)), '{{}}')::text AS written
    FROM verdict WHERE verdict.pump = p.pump
) AS v
LEFT JOIN LATERAL (
    SELECT from_at AS absent_from_at, until_at AS absent_until_at FROM care
    WHERE care.pump = p.pump AND kind = 'absence' AND ended_at IS NULL ORDER BY until_at DESC LIMIT 1
) AS away ON true
ORDER BY p.pump_id
"""
_CHOSEN = """
    erased_at IS NULL AND {beyond} AND ($2::text IS NULL OR site = $2)
        AND ($3::text IS NULL OR position(lower($3) IN lower(pump_id)) > 0)
        AND ($5::text IS NULL OR EXISTS (
            SELECT FROM verdict WHERE verdict.pump = pump.pump AND condition = $5 AND verdict = 'holds'))
        AND ($6::float8 IS NULL OR EXISTS (
            SELECT FROM pump_latest AS l WHERE l.pump = pump.pump AND empty_judged
                AND empty_conservative_d - date_part('epoch', $7::timestamptz - l.measured_at) / 86400 <= $6))
        AND ($8::text[] IS NULL OR site = ANY ($8))
"""
_PAGE_OF_PUMPS = _PUMPS.format(
    chosen=f"SELECT * FROM pump WHERE {_CHOSEN.format(beyond='pump_id > $1')} ORDER BY pump_id LIMIT $4"
)


class Sort(StrEnum):
    """In which order pumps are listed; those that are equal in the order of their ids."""

    PUMP_ID = "pump_id"
    EMPTY = "empty"  # the soonest first
    HEARD = "heard"  # the longest silent first
    BATTERY = "battery"  # the lowest first


_LAST = "1e15"
"""After every time and every voltage: of what is not known."""
_KEYS_OF = {
    Sort.EMPTY: f"coalesce(date_part('epoch', l.measured_at) + 86400 * l.empty_conservative_d, {_LAST})",
    Sort.HEARD: "coalesce(date_part('epoch', l.received_at), 0)",
    Sort.BATTERY: f"coalesce(l.battery_v::float8, {_LAST})",
}
# The place of every pump is found first, and nothing else of it: a sort copies each row that it is given.
_PLACES = {
    sort: f"""
    SELECT pump.pump AS key, pump_id, {key} AS place
    FROM pump LEFT JOIN pump_latest AS l USING (pump)
    WHERE {_CHOSEN.format(beyond=f"($9::float8 IS NULL OR ({key}, pump_id) > ($9, $1))")}
    ORDER BY place, pump_id LIMIT $4
    """
    for sort, key in _KEYS_OF.items()
}
_PLACED = """
    SELECT pump.*, place, turn FROM unnest($1::integer[], $2::float8[]) WITH ORDINALITY AS placed (key, place, turn)
    JOIN pump ON pump.pump = placed.key
    WHERE erased_at IS NULL AND ($3::text IS NULL OR site = $3) AND ($4::text[] IS NULL OR site = ANY ($4))
"""
_PUMPS_PLACED = (
    _PUMPS.format(chosen=_PLACED)
    .replace("ORDER BY p.pump_id\n", "ORDER BY p.turn\n")
    .replace("SELECT p.pump,", "SELECT p.place, p.pump,")
)
_ONE_PUMP = _PUMPS.format(chosen="SELECT * FROM pump WHERE pump_id = $1 AND erased_at IS NULL")


class Chosen(NamedTuple):
    """Which pumps are wanted, and how many at the most; None: of all."""

    after: str
    """A pump's id: those behind it."""
    site: str | None
    q: str | None
    """A part of the id, in any case."""
    limit: int
    holding: str | None
    """A condition that was written to hold."""
    low_in_d: float | None
    """It may be empty within so many days of now."""
    seen: tuple[str, ...] | None
    """Of these sites alone."""

    def asked(self, now: datetime) -> tuple[object, ...]:
        return *self[:-1], now, self.seen


async def pumps(connection: asyncpg.Connection, chosen: Chosen, now: datetime) -> list[asyncpg.Record]:
    """In the order of their ids. `written` is JSON text: {condition: [verdict, since]}."""
    rows: list[asyncpg.Record] = await connection.fetch(_PAGE_OF_PUMPS, *chosen.asked(now))
    return rows


async def places(
    connection: asyncpg.Connection, sort: Sort, chosen: Chosen, after_place: float | None, now: datetime
) -> list[asyncpg.Record]:
    """`key`, `pump_id` and `place` of each pump in another order; `after_place`: of the pump `chosen.after`."""
    rows: list[asyncpg.Record] = await connection.fetch(_PLACES[sort], *chosen.asked(now), after_place)
    return rows


async def pumps_at(
    connection: asyncpg.Connection, placed: Sequence[asyncpg.Record], chosen: Chosen
) -> list[asyncpg.Record]:
    """Those pumps as `pumps` has them, with their `place`, in this order; without those erased or moved to another site
    since.
    """
    keys, at = [row["key"] for row in placed], [row["place"] for row in placed]
    rows: list[asyncpg.Record] = await connection.fetch(_PUMPS_PLACED, keys, at, chosen.site, chosen.seen)
    return rows


async def pump(connection: asyncpg.Connection, pump_id: str) -> asyncpg.Record | None:
    """The same of one pump; None if there is no such."""
    return await connection.fetchrow(_ONE_PUMP, pump_id)


# Since when a pump is programmed as it is, as far as it has said so.
_PROGRAMMED = """
SELECT measured_at FROM event WHERE pump = $1 AND type = 'program_changed' ORDER BY position DESC LIMIT 1
"""


async def programmed_at(connection: asyncpg.Connection, key: int) -> datetime | None:
    at: datetime | None = await connection.fetchval(_PROGRAMMED, key)
    return at


_KEY = "SELECT pump FROM pump WHERE pump_id = $1 AND erased_at IS NULL"


async def key_of(connection: asyncpg.Connection, pump_id: str) -> int | None:
    key: int | None = await connection.fetchval(_KEY, pump_id)
    return key


# A page of the fleet's keys.
_KEYS_AFTER = "SELECT pump_id, pump FROM pump WHERE pump_id > $1 AND erased_at IS NULL ORDER BY pump_id LIMIT $2"


async def keys_after(connection: asyncpg.Connection, after: str, limit: int) -> list[asyncpg.Record]:
    """(pump_id, pump) of the pumps after the id `after`."""
    rows: list[asyncpg.Record] = await connection.fetch(_KEYS_AFTER, after, limit)
    return rows


# Readings of a span, oldest first, after the (time, position) where the page before ended.
_READINGS = """
SELECT measured_at, received_at, position, mode, program_ml_d, flow_ml_d, reservoir_ml, battery_v, delivered_ul
FROM reading
WHERE pump = $1 AND measured_at >= $2 AND measured_at < $3 AND (measured_at, position) > ($4, $5)
ORDER BY measured_at, position LIMIT $6
"""


async def readings(
    connection: asyncpg.Connection,
    key: int,
    *,
    since: datetime,
    until: datetime,
    after: tuple[datetime, int],
    limit: int,
) -> list[asyncpg.Record]:
    """Readings measured from `since` to before `until`."""
    since = max(since, after[0])  # days before the page before ended are left alone
    rows: list[asyncpg.Record] = await connection.fetch(_READINGS, key, since, until, *after, limit)
    return rows


# Events newest first, in the pump's own order, before the position where the page before ended.
_EVENTS = """
SELECT position, type, measured_at, received_at, body::text AS body
FROM event
WHERE pump = $1 AND position < $2 AND ($3::timestamptz IS NULL OR measured_at >= $3)
    AND ($4::timestamptz IS NULL OR measured_at < $4) AND ($5::text IS NULL OR type = $5)
ORDER BY position DESC LIMIT $6
"""


async def events(
    connection: asyncpg.Connection,
    key: int,
    *,
    before: int,
    since: datetime | None,
    until: datetime | None,
    kind: str | None,
    limit: int,
) -> list[asyncpg.Record]:
    """`body` is the JSON text of what the pump said."""
    rows: list[asyncpg.Record] = await connection.fetch(_EVENTS, key, before, since, until, kind, limit)
    return rows


# Gaps newest first, before the position where the page before ended.
_GAPS = """
SELECT from_position, to_position, noticed_at, closed_at, lost
FROM gap
WHERE pump = $1 AND from_position < $2
ORDER BY from_position DESC LIMIT $3
"""


async def gaps(connection: asyncpg.Connection, key: int, *, before: int, limit: int) -> list[asyncpg.Record]:
    """Spans of positions that did not come in order, both ends included."""
    rows: list[asyncpg.Record] = await connection.fetch(_GAPS, key, before, limit)
    return rows


TOPIC_OF: Final = r"substring({topic} FROM '^(?:shard/[0-9]+/)?pumps/v1/([A-Za-z0-9_-]{{1,64}})/')"
"""The id of the pump that a topic names; {topic} is the SQL of the topic."""
