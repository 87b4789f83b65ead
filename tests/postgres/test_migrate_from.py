"""From whatever state a database is brought up to date, what was in it is in it afterwards."""

import json
import shutil
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.embedded.postgres import PostgresServer
from service.postgres import chains
from service.postgres.migrate import DIRECTORY, known, migrate

AT = "2026-11-22T12:00:00Z"
ALERT = "00000000-0000-0000-0000-000000000001"
ENDPOINT = "00000000-0000-0000-0000-000000000002"

# What was written while a migration was the newest one, as the version of then wrote it.
WRITTEN = {
    1: f"""
        INSERT INTO site (site, name) VALUES ('north', 'North');
        INSERT INTO pump (pump_id, site, drug, drug_class, concentration_ug_ml, registered)
        VALUES ('p1', 'north', 'baclofen', 'baclofen', 500.5, true), ('p2', NULL, 'unknown', 'unknown', NULL, false);
        INSERT INTO reading SELECT '{AT}'::timestamptz + n * interval '1 minute', (7::bigint << 40) + n,
            '{AT}'::timestamptz + n * interval '61 s', 1, 0.1235, 0.1 + n / 1000.0, 17.931, 2.914, n % 6,
            CASE n % 2 WHEN 0 THEN 12.25 END FROM generate_series(0, 199) AS n;
        INSERT INTO event VALUES (1, (7::bigint << 40) + 200, 'refill', '{AT}', '{AT}', 20, '{{"aspirated_ml": 2.5}}');
        INSERT INTO gap VALUES (1, 5, 9, '{AT}', NULL, true), (1, 20, 29, '{AT}', '{AT}', false);
        INSERT INTO clock_offset VALUES (1, 0, -1500);
        INSERT INTO quarantine (received_at, topic, reason, detail, length, sha256, head)
        VALUES ('{AT}', 'pumps/v1/p1/telemetry', 'malformed', 'at byte 9', 3, '\\x00', '\\x7b7b7b');
        INSERT INTO shard (shard, epoch, batch_no, owner) VALUES (0, 17, 4, 'somebody');
        INSERT INTO rule_checkpoint VALUES (1, NULL, 7, 8, '{AT}', 'of then', '\\x0102');
        INSERT INTO rulebook (version, body) VALUES ('v1', 'text');
        INSERT INTO pump_latest VALUES (1, '{AT}', '{AT}', 199, 0.5, 0.5, 17.9, 2.9, 0);
        INSERT INTO verdict VALUES (1, 'stall', 'holds', '{AT}');
        INSERT INTO alert (id, pump, condition, kind, priority, state, state_since, latching, began_at, detected_at,
            raised_at, detected_position, last_position, simulated, rulebook_version, evidence)
        VALUES ('{ALERT}', 1, 'stall', 'physiological', 'high', 'active', '{AT}', true, '{AT}', '{AT}', '{AT}', 7, 7,
            false, 'v1', '{{"missed_ul": 10.5}}');
        INSERT INTO alert_history (alert_id, number, at, event, actor, position, state, priority)
        VALUES ('{ALERT}', 1, '{AT}', 'condition_began', 'rules', 7, 'active', 'high');
        INSERT INTO endpoint (id, name, url, secret) VALUES ('{ENDPOINT}', 'desk', 'https://desk.test', 'whsec_x');
        INSERT INTO notification (id, alert_id, number, endpoint, kind, priority, body, created_at, due_at, state,
            attempts)
        VALUES ('msg_1', '{ALERT}', 1, '{ENDPOINT}', 'activated', 'high', '{{"type": "alert.activated"}}', '{AT}',
            '{AT}', 'delivered', 1);
        INSERT INTO attempt (notification_id, number, at, outcome, status, duration_ms)
        VALUES ('msg_1', 1, '{AT}', 'delivered', 204, 12.5);
        INSERT INTO token (name, role, sha256) VALUES ('ada', 'administrator', '\\x07');
        INSERT INTO audit (actor, action, subject) VALUES ('ada', 'token_created', 'x'), ('ada', 'pump_written', 'p1')
    """,
    4: """
        INSERT INTO rule_override (scope, name, section, key, value, reason, author, made_at)
        VALUES ('drug_class', 'opioid', 'stall', 'enabled', 'true', 'why', 'ada', now());
        INSERT INTO pump_limits VALUES ('h', '{}');
        INSERT INTO limits_in_force VALUES (1, -1, 'h', 'v1', '{1,2}', now())
    """,
    9: """
        INSERT INTO escalation_policy (kind, name, version, document, changed_by)
        VALUES ('contact', 'ada', 1, '{"endpoints": ["desk"]}', 'ada')
    """,
    11: f"""
        INSERT INTO reading SELECT '{AT}'::timestamptz + n * interval '1 minute', (7::bigint << 40) + n, '{AT}', 2, 0.5,
            0.5, 17.9, 2.9, 0 FROM generate_series(0, 99) AS n
    """,
    12: f"""
        INSERT INTO alert_history (alert_id, number, at, event, actor, note, position, state, priority)
        VALUES ('{ALERT}', 2, '{AT}', 'acknowledged', 'ada', 'seen', NULL, 'active', 'high');
        UPDATE alert SET version = 2, acknowledged_by = 'ada', acknowledged_at = '{AT}';
        INSERT INTO audit (actor, action, subject) VALUES ('ada', 'alert_acknowledged', 'x')
    """,
}

KEPT = {
    "readings": """
        SELECT count(*), sum(position), min(measured_at)::text, max(received_at)::text, sum(flow_ml_d::numeric(9, 4)),
               sum(delivered_ul), sum(mode), sum(reservoir_ml::numeric(9, 3)), sum(battery_v::numeric(9, 3))
        FROM reading WHERE pump = 1""",
    "hours": """SELECT count(*), sum(readings), min(bucket_at)::text, max(flow_ml_d_max)::numeric(9, 4)
                FROM reading_hour WHERE pump = 1""",
    "pumps": "SELECT array_agg((pump, pump_id, site, drug, drug_class, concentration_ug_ml) ORDER BY pump) FROM pump",
    "events": "SELECT pump, position, type, measured_at::text, value, body::text FROM event",
    "gaps": "SELECT array_agg((pump, from_position, to_position, closed_at, lost) ORDER BY from_position) FROM gap",
    "offsets": "SELECT pump, from_position, offset_ms FROM clock_offset",
    "quarantine": "SELECT topic, reason, detail, length, sha256, head FROM quarantine",
    "shard": "SELECT epoch, batch_no FROM shard",
    "checkpoint": "SELECT pump, position, through, layout, state FROM rule_checkpoint",
    "latest": "SELECT pump, position, reservoir_ml FROM pump_latest",
    "verdict": "SELECT pump, condition, verdict FROM verdict",
    "alert": "SELECT subject, site, condition, priority, state, evidence::text, detected_position FROM alert",
    "endpoint": "SELECT name, url, secret, priorities, enabled FROM endpoint",
    "notification": "SELECT id, kind, body::text, state, attempts FROM notification",
    "attempt": "SELECT notification_id, outcome, status, duration_ms FROM attempt",
    "token": "SELECT name, role, sha256 FROM token",
}


@pytest.fixture(scope="module")
async def states(
    postgres_server_of_session: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[int, str]]:
    """A database in each state in which something was written, and in the newest; by the newest migration.

    States in between differ by nothing that was written: what they would show is seen on the way from one before them.
    """
    control = await asyncpg.connect(postgres_server_of_session.url())
    directory = tmp_path_factory.mktemp("migrations")
    states: dict[int, str] = {}
    before = "template1"
    for migration in known():
        name = f"state_{migration.number}"
        await control.execute(f"CREATE DATABASE {name} TEMPLATE {before} STRATEGY file_copy")
        url = postgres_server_of_session.url(name)
        shutil.copy(DIRECTORY / migration.name, directory)
        assert await migrate(url, directory) == [migration.name]
        if migration.number in WRITTEN:
            connection = await asyncpg.connect(url)
            await connection.execute(WRITTEN[migration.number])
            await connection.close()
        before = name
        if migration.number in WRITTEN or migration == known()[-1]:
            states[migration.number] = url
    yield states
    for migration in known():
        await control.execute(f"DROP DATABASE state_{migration.number} WITH (FORCE)")
    await control.close()


async def kept(url: str) -> dict[str, object]:
    connection = await asyncpg.connect(url)
    found: dict[str, object] = {what: tuple(await connection.fetchrow(query)) for what, query in KEPT.items()}
    found["chains"] = (await chains.verify(connection)).problems
    await connection.close()
    return found


async def test_what_was_written_in_any_state_is_there_after_all_later_migrations(states: dict[int, str]) -> None:
    found = {}
    for number, url in states.items():
        await migrate(url)
        found[number] = await kept(url)
    first = found[1]
    readings = first["readings"]
    assert readings[0] == 200
    assert float(readings[4]) == pytest.approx(sum(0.1 + n / 1000 for n in range(200)), abs=1e-6)
    assert first["hours"][:2] == (4, 200)
    assert first["alert"][:2] == ("pump:p1", "north")
    assert first["chains"] == []
    for number, what in found.items():
        assert what == first, f"from {number}"


async def test_what_a_later_version_added_is_there_too(states: dict[int, str]) -> None:
    newest = max(states)
    connection = await asyncpg.connect(states[newest])
    assert await connection.fetchval("SELECT count(*) FROM reading WHERE pump = 2") == 100
    assert await connection.fetchval("SELECT count(*) FROM rule_override") == 1
    assert json.loads(await connection.fetchval("SELECT document::text FROM roster")) == {"endpoints": ["desk"]}
    verified = await chains.verify(connection)
    assert (verified.entries, verified.audited, verified.problems) == (2, 3, [])
    await connection.close()
