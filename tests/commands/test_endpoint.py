"""`pumpwatch endpoint`: who is told of alerts, where and how."""

import json
from pathlib import Path

import asyncpg

from tests.commands.program import Pumpwatch
from tests.keys import VAULT

URL = "https://clinic.example/hook"


async def test_an_endpoint_is_added_with_a_secret_shown_once_listed_changed_rotated_and_deleted(
    pumpwatch: Pumpwatch, postgres_url: str
) -> None:
    made = pumpwatch("endpoint", "add", "--name", "clinic", "--url", URL, "--accepts-simulated")
    assert made.code == 0, made.err
    secret = made.out.strip()
    connection = await asyncpg.connect(postgres_url)
    stored = await connection.fetchrow("SELECT secret, accepts_simulated, enabled FROM endpoint")
    assert (VAULT.open(stored["secret"]), *tuple(stored)[1:]) == (secret, True, True)

    assert pumpwatch("endpoint", "add", "--name", "clinic", "--url", URL).code == 1
    listed = pumpwatch("endpoint", "list").out
    assert listed.splitlines()[1].split()[:4] == ["clinic", URL, "yes", "yes"]
    assert secret not in listed + made.err
    changed = pumpwatch("endpoint", "change", "clinic", "--format", "slack", "--priorities", "high")
    assert changed == (0, "changed clinic\n", "")
    assert pumpwatch("endpoint", "change", "clinic", "--format", "fax").err.startswith("--format: there is no format")
    rotated = pumpwatch("endpoint", "rotate", "clinic", "--both-for-h", "0").out.strip()
    now_stored = VAULT.open(await connection.fetchval("SELECT secret FROM endpoint"))
    assert rotated == now_stored != secret
    fired = pumpwatch("endpoint", "test", "clinic").out.strip()
    assert pumpwatch("endpoint", "delete", "clinic").code == 1
    assert json.loads(pumpwatch("deliveries", "show", fired).out)["kind"] == "test"
    assert (
        pumpwatch("deliveries", "redrive", fired).err
        == f"{fired}: it is pending: only what was given up can be sent again\n"
    )
    await connection.execute("UPDATE notification SET state = 'failed'")
    assert pumpwatch("deliveries", "list", "--state", "failed").out.splitlines()[1].startswith(fired)
    assert pumpwatch("deliveries", "redrive", "--endpoint", "clinic").out == "1 will be sent again\n"
    assert pumpwatch("deliveries", "give-up", "--endpoint", "clinic").out == "1 given up\n"
    assert pumpwatch("endpoint", "disable", "clinic") == (0, "disabled clinic\n", "")
    assert pumpwatch("endpoint", "disable", "clinic").code == 1
    assert pumpwatch("endpoint", "list").out.splitlines()[1].split()[3] == "no"
    await connection.execute("UPDATE notification SET state = 'delivered'")
    assert pumpwatch("endpoint", "delete", "clinic") == (0, "deleted clinic\n", "")
    assert pumpwatch("endpoint", "enable", "clinic").err == "clinic: no endpoint has this name\n"
    actions = [row["action"] for row in await connection.fetch("SELECT action FROM audit ORDER BY id")]
    assert actions == [
        "endpoint_added",
        "endpoint_changed",
        "endpoint_secret_rotated",
        "endpoint_tested",
        "notifications_redriven",
        "notifications_given_up",
        "endpoint_disabled",
        "endpoint_deleted",
    ]
    await connection.close()


def test_what_cannot_work_is_a_usage_error_with_the_option_and_the_reason(pumpwatch: Pumpwatch, tmp_path: Path) -> None:
    ended = pumpwatch("endpoint", "add", "--name", "clinic", "--url", "http://clinic.example")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("--url: must begin with https://")
    template = tmp_path / "wrong.json"
    template.write_text('{"text": "{{wat}}"}', encoding="utf-8")
    ended = pumpwatch("endpoint", "preview", "--template", template)
    assert (ended.code, ended.err.startswith("--template: there is no {{wat}}")) == (2, True)
    template.write_text('{"text": "{{title}}"}', encoding="utf-8")
    shown = json.loads(pumpwatch("endpoint", "preview", "--template", template).out)
    assert shown == {"text": "[simulated] HIGH: stall, p000017 (north)"}


async def test_secrets_of_an_earlier_version_are_sealed_when_the_database_is_migrated(
    pumpwatch: Pumpwatch, postgres_url: str
) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("INSERT INTO endpoint (name, url, secret) VALUES ('old', $1, 'whsec_old')", URL)
    assert pumpwatch("migrate") == (0, "up to date\nsealed the secrets of 1 endpoints\n", "")
    assert VAULT.open(await connection.fetchval("SELECT secret FROM endpoint")) == "whsec_old"
    assert pumpwatch("migrate").out == "up to date\n"
    await connection.close()
