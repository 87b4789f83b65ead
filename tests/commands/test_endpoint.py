"""`pumpwatch endpoint`: who is told of alerts."""

import asyncpg

from tests.commands.program import Pumpwatch

URL = "https://clinic.example/hook"


async def test_an_endpoint_is_added_with_a_secret_shown_once_listed_and_disabled(
    pumpwatch: Pumpwatch, postgres_url: str
) -> None:
    made = pumpwatch("endpoint", "add", "--name", "clinic", "--url", URL, "--accepts-simulated")
    assert made.code == 0, made.err
    secret = made.out.strip()
    connection = await asyncpg.connect(postgres_url)
    stored = await connection.fetchrow("SELECT secret, accepts_simulated, enabled FROM endpoint")
    assert tuple(stored) == (secret, True, True)

    assert pumpwatch("endpoint", "add", "--name", "clinic", "--url", URL).code == 1
    listed = pumpwatch("endpoint", "list").out
    assert listed.splitlines()[1].split()[:4] == ["clinic", URL, "yes", "yes"]
    assert secret not in listed + made.err
    assert pumpwatch("endpoint", "disable", "clinic") == (0, "disabled clinic\n", "")
    assert pumpwatch("endpoint", "disable", "clinic").code == 1
    assert pumpwatch("endpoint", "list").out.splitlines()[1].split()[3] == "no"
    actions = [row["action"] for row in await connection.fetch("SELECT action FROM audit ORDER BY id")]
    assert actions == ["endpoint_added", "endpoint_disabled"]
    await connection.close()


def test_an_address_that_would_tell_strangers_is_a_usage_error(pumpwatch: Pumpwatch) -> None:
    ended = pumpwatch("endpoint", "add", "--name", "clinic", "--url", "http://clinic.example")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("--url: must begin with https://")
