"""How do alerts get in and out of their tables? Whole sets of rows at a time, as JSON that has the columns' names.

However many alerts a batch changes, it takes one statement a table.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from service.core.alert import Alert
from service.core.change import Change, Condition, Turn
from service.core.lifecycle import HistoryRow, pump_time
from service.core.reading import DrugClass
from service.core.subject import Subject, is_site, site_of

READINGS_KEPT: Final = 120
"""How many of an episode's readings its alert keeps as evidence."""


def columns_of(row: type) -> str:
    return ", ".join(field.name for field in fields(row))


# The evidence's readings stay where they are: nothing is decided from them.
ALERT_JSON: Final = "(to_jsonb(a) || jsonb_build_object('evidence', a.evidence - 'readings'))::text"

Key = tuple[str, Condition]
"""A subject and a condition: at most one alert of it is open."""

# The open alerts of some conditions, locked in id order so that two writers never wait for each other in a circle.
_LOCK_OPEN: Final = f"""
SELECT {ALERT_JSON}
FROM alert AS a JOIN unnest($1::text[], $2::text[]) AS given (subject, condition) USING (subject, condition)
WHERE a.state <> 'resolved'
ORDER BY a.id
FOR UPDATE OF a
"""
# The newest resolved alert of each of some conditions, and how many of it have begun of late.
_NEWEST_RESOLVED: Final = f"""
SELECT {ALERT_JSON}, (
    SELECT count(*) FROM alert AS recent
    WHERE recent.subject = a.subject AND recent.condition = a.condition AND recent.began_at > $3::timestamptz
        AND NOT recent.found_late
) AS episodes
FROM unnest($1::text[], $2::text[]) AS given (subject, condition)
CROSS JOIN LATERAL (
    SELECT * FROM alert
    WHERE alert.subject = given.subject AND alert.condition = given.condition AND state = 'resolved'
    ORDER BY detected_position DESC LIMIT 1
) AS a
"""


async def lock_open(connection: asyncpg.Connection, keys: Collection[Key]) -> list[Alert]:
    return alerts_of(await connection.fetch(_LOCK_OPEN, *_key_columns(keys)))


async def newest_resolved(
    connection: asyncpg.Connection, keys: Collection[Key], since: datetime
) -> list[tuple[Alert, int]]:
    """Each with how many of its condition have begun since."""
    rows = await connection.fetch(_NEWEST_RESOLVED, *_key_columns(keys), since)
    return [(alert, row["episodes"]) for alert, row in zip(alerts_of(rows), rows, strict=True)]


# Every alert of a pump that may have to change when it was rebuilt from a position on: what is open or was changed
# after it, and of each condition the last one before it, which may turn out to have gone on.
_LOCK_SINCE: Final = f"""
SELECT {ALERT_JSON} FROM alert AS a
WHERE a.pump = $1 AND (
    a.state <> 'resolved' OR a.last_position > $2 OR a.detected_position = (
        SELECT max(earlier.detected_position) FROM alert AS earlier
        WHERE earlier.pump = a.pump AND earlier.condition = a.condition AND earlier.detected_position <= $2
    )
)
ORDER BY a.id
FOR UPDATE
"""


async def lock_since(connection: asyncpg.Connection, pump: int, since_position: int) -> list[Alert]:
    return alerts_of(await connection.fetch(_LOCK_SINCE, pump, since_position))


# Some alerts that are active, for what becomes of them together.
_LOCK_ACTIVE: Final = f"""
SELECT {ALERT_JSON} FROM alert AS a WHERE a.id = ANY ($1::uuid[]) AND a.state = 'active' ORDER BY a.id FOR UPDATE
"""


async def lock_active(connection: asyncpg.Connection, alerts: Collection[UUID]) -> list[Alert]:
    return alerts_of(await connection.fetch(_LOCK_ACTIVE, list(alerts)))


# One alert, for what a person does to it.
_LOCK_ONE: Final = f"SELECT {ALERT_JSON} FROM alert AS a WHERE a.id = $1 FOR UPDATE"


async def lock_one(connection: asyncpg.Connection, alert: UUID) -> Alert | None:
    rows = await connection.fetch(_LOCK_ONE, alert)
    return alerts_of(rows)[0] if rows else None


# Real columns go through text: the shortest decimal that means them, 20.3 and not 20.299999.
_PUMPS: Final = """
SELECT 'pump:' || pump_id AS name, pump, pump_id, site, drug_class,
       concentration_ug_ml::text::float8 AS concentration_ug_ml, simulated, time_zone,
       in_service
FROM pump WHERE pump = ANY ($1::integer[])
"""
# A site whose pumps are all simulated is simulated itself.
_SITES: Final = """
SELECT 'site:' || given.site AS name, given.site, coalesce(bool_and(pump.simulated), false) AS simulated,
       coalesce(min(site.time_zone), 'UTC') AS time_zone
FROM unnest($1::text[]) AS given (site)
LEFT JOIN site ON site.site = given.site
LEFT JOIN pump ON pump.site = given.site AND pump.in_service
GROUP BY given.site
"""


async def pumps_of(connection: asyncpg.Connection, pumps: Collection[int]) -> dict[int, Subject]:
    """What alerts need to know of pumps, by their keys."""
    rows = await connection.fetch(_PUMPS, list(pumps)) if pumps else []
    return {row["pump"]: Subject(**{**row, "drug_class": DrugClass(row["drug_class"])}) for row in rows}


async def others_of(connection: asyncpg.Connection, names: Collection[str]) -> dict[str, Subject]:
    """What alerts need to know of sites and of the service, by their names."""
    sites = [site_of(name) for name in names if is_site(name)]
    rows = await connection.fetch(_SITES, sites) if sites else []
    found = {row["name"]: Subject(**row) for row in rows}
    return {name: found.get(name) or Subject(name=name) for name in names}


async def subjects_of(connection: asyncpg.Connection, alerts: Collection[Alert]) -> dict[str, Subject]:
    """What these are about, by name."""
    pumps = await pumps_of(connection, {alert.pump for alert in alerts if alert.pump is not None})
    others = await others_of(connection, {alert.subject for alert in alerts if alert.pump is None})
    return {subject.name: subject for subject in pumps.values()} | others


# The last stored readings of each of some spans of pump time, as columns.
_READINGS: Final = f"""
SELECT given.number, jsonb_build_object(
    'position', jsonb_agg(r.position ORDER BY r.measured_at, r.position),
    'measured_at', jsonb_agg(r.measured_at ORDER BY r.measured_at, r.position),
    'program_ml_d', jsonb_agg(r.program_ml_d ORDER BY r.measured_at, r.position),
    'flow_ml_d', jsonb_agg(r.flow_ml_d ORDER BY r.measured_at, r.position),
    'reservoir_ml', jsonb_agg(r.reservoir_ml ORDER BY r.measured_at, r.position),
    'battery_v', jsonb_agg(r.battery_v ORDER BY r.measured_at, r.position)
)::text AS readings
FROM unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::bigint[])
    WITH ORDINALITY AS given (pump, from_at, to_at, position, number)
CROSS JOIN LATERAL (
    SELECT * FROM reading
    WHERE reading.pump = given.pump AND reading.measured_at BETWEEN given.from_at AND given.to_at
        AND reading.position <= given.position
    ORDER BY reading.measured_at DESC, reading.position DESC
    LIMIT {READINGS_KEPT}
) AS r
GROUP BY given.number
"""


async def readings_of(connection: asyncpg.Connection, changes: Sequence[Change]) -> list[dict[str, Any]]:
    """The readings from each change's onset to the one that decided; {} where none are stored."""
    found: list[dict[str, Any]] = [{} for _ in changes]
    if changes:
        rows = await connection.fetch(
            _READINGS,
            [change.pump for change in changes],
            [pump_time(change.began_ms) for change in changes],
            [pump_time(change.at_ms) for change in changes],
            [change.position for change in changes],
        )
        for row in rows:
            found[row["number"] - 1] = msgspec.json.decode(row["readings"])
    return found


# Nobody can have raised the same episode but ourselves, before: then all of it was written.
_INSERT_ALERTS: Final = f"""
INSERT INTO alert ({columns_of(Alert)})
SELECT {columns_of(Alert)} FROM jsonb_populate_recordset(NULL::alert, $1::text::jsonb) ORDER BY id
ON CONFLICT DO NOTHING
RETURNING id
"""


async def insert_alerts(connection: asyncpg.Connection, alerts: Sequence[Alert]) -> set[UUID]:
    """Return the ids of those that were not there."""
    if not alerts:
        return set()
    return {row["id"] for row in await connection.fetch(_INSERT_ALERTS, json_of(alerts))}


# What can change of an alert; evidence is added to, so its readings stay unless newer ones replace them.
_UPDATE_ALERTS: Final = """
UPDATE alert SET
    priority = new.priority, state = new.state, state_since = new.state_since, latching = new.latching,
    began_at = new.began_at, detected_at = new.detected_at, ended_at = new.ended_at,
    resolved_at = new.resolved_at, last_position = new.last_position,
    found_late = new.found_late, reason = new.reason, acknowledged_at = new.acknowledged_at,
    acknowledged_by = new.acknowledged_by, rulebook_version = new.rulebook_version,
    inhibited_by = new.inhibited_by, escalation = new.escalation, escalate_at = new.escalate_at,
    shelved_until = new.shelved_until, shelved_by = new.shelved_by, shelf_reason = new.shelf_reason,
    chattering = new.chattering, evidence = alert.evidence || new.evidence, version = new.version
FROM jsonb_populate_recordset(NULL::alert, $1::text::jsonb) AS new
WHERE alert.id = new.id
"""


async def update_alerts(connection: asyncpg.Connection, alerts: Sequence[Alert]) -> None:
    if alerts:
        await connection.execute(_UPDATE_ALERTS, json_of(alerts))


_INSERT_HISTORY: Final = f"""
INSERT INTO alert_history ({columns_of(HistoryRow)})
SELECT {columns_of(HistoryRow)} FROM jsonb_populate_recordset(NULL::alert_history, $1::text::jsonb)
ORDER BY alert_id, number -- each is chained to the one before
"""


async def insert_history(connection: asyncpg.Connection, rows: Sequence[HistoryRow]) -> None:
    if rows:
        await connection.execute(_INSERT_HISTORY, json_of(rows))


_KEEP: Final = """
INSERT INTO unraised (pump, condition, turn)
SELECT pump, condition, turn::jsonb FROM unnest($1::integer[], $2::text[], $3::text[]) AS given (pump, condition, turn)
ON CONFLICT (pump, condition) DO UPDATE SET turn = EXCLUDED.turn
"""
_FORGET: Final = """
DELETE FROM unraised AS u USING unnest($1::integer[], $2::text[]) AS over (pump, condition)
WHERE u.pump = over.pump AND u.condition = over.condition
"""


async def keep_unraised(connection: asyncpg.Connection, turns: Iterable[Change]) -> None:
    """What turned of pumps that are out of service: it is raised when they are back, if it holds then."""
    last = {(turn.pump, str(turn.condition)): turn for turn in turns}
    over = [key for key, turn in last.items() if turn.turn is Turn.ENDED]
    held = {key: replace(turn, turn=Turn.BEGAN) for key, turn in last.items() if turn.turn is not Turn.ENDED}
    if over:
        await connection.execute(_FORGET, [pump for pump, _ in over], [condition for _, condition in over])
    if held:
        texts = [json_of(turn) for turn in held.values()]
        await connection.execute(_KEEP, [pump for pump, _ in held], [condition for _, condition in held], texts)


def _key_columns(keys: Collection[Key]) -> tuple[list[str], list[str]]:
    return [subject for subject, _ in keys], [str(condition) for _, condition in keys]


def alerts_of(rows: Sequence[asyncpg.Record]) -> list[Alert]:
    return [msgspec.json.decode(row[0], type=Alert) for row in rows]


def json_of(rows: Any) -> str:
    return msgspec.json.encode(rows, enc_hook=lambda scalar: scalar.item()).decode()
