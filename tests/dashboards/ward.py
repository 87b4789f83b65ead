"""A small fleet in the database, with something for each panel to show."""

from datetime import datetime, timedelta

import asyncpg

MINUTES = 240

_PUMPS = """
    INSERT INTO site (site, name) VALUES ('north', 'North'), ('o''brien', 'O''Brien');
    INSERT INTO pump (pump_id, site, drug_class, concentration_ug_ml, interval_s, simulated) VALUES
        ('p1', 'north', 'baclofen', 500, 60, true), ('p2', 'o''brien', 'opioid', NULL, 60, true),
        ('p3', NULL, 'unknown', NULL, 3600, false);
"""
_READINGS = """
    INSERT INTO reading (measured_at, position, received_at, pump, program_ml_d, flow_ml_d, reservoir_ml,
                         battery_v, mode)
    SELECT $1::timestamptz - make_interval(mins => $2 - minute), (1::bigint << 40) | minute,
           $1::timestamptz - make_interval(mins => $2 - minute), pump, 0.5, 0.49 + 0.001 * (minute % 7), 18, 2.9, 0
    FROM generate_series(1, $2) AS minute, pump WHERE pump_id IN ('p1', 'p2')
"""
_LATEST = """
    INSERT INTO pump_latest (pump, received_at, measured_at, position, program_ml_d, flow_ml_d, reservoir_ml,
                             battery_v, mode, empty_judged, empty_nominal_d, empty_conservative_d, empty_optimistic_d)
    SELECT DISTINCT ON (pump) pump, received_at, measured_at, position, program_ml_d, flow_ml_d, reservoir_ml,
           battery_v, mode, true, 4.1, 3.6, 4.7 FROM reading ORDER BY pump, measured_at DESC
"""
_ABOUT_PUMPS = """
    INSERT INTO verdict (pump, condition, verdict, since)
    SELECT pump, condition, verdict, $1 FROM pump,
        (VALUES ('stall', 'holds'), ('silence', 'unknown'), ('level_deviation', 'not_available'))
        AS v (condition, verdict)
"""
_EVENTS = """
    INSERT INTO event (pump, position, type, measured_at, received_at, body)
    SELECT pump, (1::bigint << 40) | 900, 'refill', $1, $1, '{"volume_ml": 20}' FROM pump
"""
_GAPS = """
    INSERT INTO gap (pump, from_position, to_position, noticed_at, lost)
    SELECT pump, (1::bigint << 40) | 901, (1::bigint << 40) | 905, $1, true FROM pump
"""
_ENDPOINT = """
    INSERT INTO endpoint (name, url, secret, accepts_simulated) VALUES ('clinic', 'https://x.example', 's', true)
"""
_ALERTS = """
    INSERT INTO alert (id, pump, subject, site, condition, kind, priority, state, state_since, latching, began_at,
                       detected_at, raised_at, detected_position, last_position, simulated, rulebook_version, evidence)
    SELECT gen_random_uuid(), pump, 'pump:' || pump_id, site, condition, 'physiological', priority, 'active', $1, true,
           $1, $1, $1, 1, 1, simulated, 'r', '{}'
    FROM pump, (VALUES ('stall', 'high'), ('under_delivery', 'medium'), ('bolus_denied', 'low'))
        AS c (condition, priority)
"""
_HISTORY = """
    INSERT INTO alert_history (alert_id, number, at, event, actor, state, priority)
    SELECT id, 1, $1::timestamptz + interval '90 s', 'acknowledged', 'nurse', state, priority FROM alert
    WHERE priority <> 'low'
"""
_NOTIFICATIONS = """
    INSERT INTO notification (id, alert_id, number, endpoint, kind, priority, body, created_at, due_at, state,
                              settled_at)
    SELECT 'n' || a.id, a.id, 1, e.id, 'activated', a.priority, '{}', $1, $1,
           CASE a.priority WHEN 'low' THEN 'failed' ELSE 'delivered' END, $1::timestamptz + interval '1 s'
    FROM alert AS a, endpoint AS e
"""
_ATTEMPTS = """
    INSERT INTO attempt (notification_id, number, at, outcome, status, duration_ms)
    SELECT id, 1, $1, CASE state WHEN 'failed' THEN 'timed_out' ELSE 'delivered' END, 200, 12 FROM notification
"""


async def fill(connection: asyncpg.Connection, now: datetime) -> None:
    """Four hours of readings up to `now`; what happened, an hour before; alerts that stand open for two days."""
    for statement in _PUMPS.split(";\n"):
        if statement.strip():
            await connection.execute(statement)
    await connection.execute(_READINGS, now, MINUTES)
    await connection.execute(_LATEST)
    for statement in (_ABOUT_PUMPS, _EVENTS, _GAPS):
        await connection.execute(statement, now - timedelta(hours=1))
    await connection.execute(_ENDPOINT)
    for statement in (_ALERTS, _HISTORY, _NOTIFICATIONS, _ATTEMPTS):
        await connection.execute(statement, now - timedelta(days=2))
