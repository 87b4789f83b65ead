"""`pumpwatch account` as it is typed."""

import asyncpg

from service.postgres.accounts import Role, create_token
from tests.commands.program import Pumpwatch


async def test_an_account_is_made_and_let_in(pumpwatch: Pumpwatch, connection: asyncpg.Connection) -> None:
    made = pumpwatch("account", "add", "dr-weber", "--role", "clinician", "--site", "north")
    assert made.code == 0, made.err
    await create_token(connection, "grafana", Role.VIEWER, "test")
    for taken in ("DR-WEBER", "grafana"):
        again = pumpwatch("account", "add", taken, "--role", "viewer")
        assert (again.code, "has this name" in again.err) == (1, True)
    link = pumpwatch("account", "link", "dr-weber")
    assert "/login/" in link.out
    assert pumpwatch("account", "link", "nobody").code == 1
    listed = pumpwatch("account", "list")
    assert "dr-weber" in listed.out
    assert "north" in listed.out
    assert await connection.fetchval("SELECT count(*) FROM audit WHERE subject = 'dr-weber'") == 2
