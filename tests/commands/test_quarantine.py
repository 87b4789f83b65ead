"""`pumpwatch quarantine`: what could not be understood."""

import base64
import hashlib

import asyncpg

from tests.commands.program import Pumpwatch

HOSTILE = b'{"boot": \x1b[2J\xff\x00 \xe2\x80\xae}'


async def test_messages_are_listed_and_shown_and_none_can_move_the_cursor(
    pumpwatch: Pumpwatch, postgres_url: str
) -> None:
    connection = await asyncpg.connect(postgres_url)
    for reason in ("not_json", "bad_time"):
        await connection.execute(
            "INSERT INTO quarantine (received_at, topic, reason, detail, length, sha256, head) "
            "VALUES ('2026-11-22T20:30:00Z', $1, $2, 'at byte 9', 70000, $3, $4)",
            *("pumps/v1/\x1b[31m/telemetry", reason, hashlib.sha256(HOSTILE).digest(), HOSTILE),
        )
    number = await connection.fetchval("SELECT max(id) FROM quarantine")
    await connection.close()

    listed = pumpwatch("quarantine", "list")
    assert listed.code == 0, listed.err
    assert [line.split()[3] for line in listed.out.splitlines()] == ["REASON", "bad_time", "not_json"]
    assert len(pumpwatch("quarantine", "list", "--reason", "not_json").out.splitlines()) == 2
    shown = pumpwatch("quarantine", "show", number)
    assert "topic: pumps/v1/\\x1b[31m/telemetry\n" in shown.out
    assert 'first 20 bytes: {"boot": \\x1b[2J\\xff\\x00 \\u202e}\n' in shown.out
    assert "\x1b" not in listed.out + shown.out
    assert hashlib.sha256(HOSTILE).hexdigest() in shown.out

    assert pumpwatch("quarantine", "show", number + 1).code == 1
    raw = pumpwatch("quarantine", "show", number, "--base64").out
    assert base64.b64decode(raw) == HOSTILE


async def test_a_message_is_read_again_or_dropped_once(pumpwatch: Pumpwatch, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(
        "INSERT INTO quarantine (received_at, topic, reason, detail, length, sha256, head) "
        "SELECT now(), 'pumps/v1/p' || n || '/telemetry', 'not_json', '', 1, '', 'x' FROM generate_series(1, 4) AS n"
    )
    first = await connection.fetchval("SELECT min(id) FROM quarantine")
    assert pumpwatch("quarantine", "replay", first).out == f"{first} is to be read again\n"
    assert pumpwatch("quarantine", "drop", first, "--reason", "x").err == f"{first}: it is about to be read again\n"
    assert pumpwatch("quarantine", "drop", first + 1, "--reason", "a test").out == f"{first + 1} is dropped\n"
    assert pumpwatch("quarantine", "replay", "--reason", "not_json", "--pump", "p3").out.startswith("1 messages")
    assert pumpwatch("quarantine", "replay", 999).code == 1
    states = [line.split()[2] for line in pumpwatch("quarantine", "list").out.splitlines()[1:]]
    assert states == ["kept", "replaying", "dropped", "replaying"]
    said = await connection.fetch("SELECT action, detail->>'why' AS why FROM audit ORDER BY id")
    await connection.close()
    assert [tuple(row) for row in said] == [
        ("quarantine_replayed", None),
        ("quarantine_dropped", "a test"),
        ("quarantine_replayed", None),
    ]
