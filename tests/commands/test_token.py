"""`pumpwatch token`: who may use the API."""

from datetime import UTC, datetime, timedelta

import asyncpg

from service.core.access import Scope
from service.postgres.accounts import Role, account_of
from tests.commands.program import Pumpwatch
from tests.commands.program import pumpwatch as run
from tests.forks import Forks


async def test_a_token_is_printed_once_and_works_until_it_is_revoked(pumpwatch: Pumpwatch, postgres_url: str) -> None:
    made = pumpwatch("token", "create", "--name", "ward 3", "--role", "clinician")
    assert made.code == 0, made.err
    token = made.out.strip()
    connection = await asyncpg.connect(postgres_url)
    account = await account_of(connection, token, datetime.now(UTC))
    assert account is not None
    assert (account.name, account.role) == ("ward 3", Role.CLINICIAN)
    assert token not in made.err

    again = pumpwatch("token", "create", "--name", "ward 3", "--role", "viewer")
    assert (again.code, again.out) == (1, "")
    assert "ward 3" in again.err
    listed = pumpwatch("token", "list")
    assert listed.out.splitlines()[0].split() == ["NAME", "ROLE", "SCOPES", "SITES", "CREATED", "EXPIRES", "REVOKED"]
    assert listed.out.splitlines()[1].startswith("ward 3  clinician  all     all    20")
    assert token not in listed.out

    assert pumpwatch("token", "revoke", "ward 3") == (0, "revoked ward 3\n", "")
    assert await account_of(connection, token, datetime.now(UTC)) is None
    assert pumpwatch("token", "revoke", "ward 3").code == 1
    actors = await connection.fetch("SELECT actor FROM audit")
    assert len(actors) == 2
    assert all(row["actor"].startswith("cli:") for row in actors)
    await connection.close()


async def test_a_token_can_be_for_less_and_for_a_while(pumpwatch: Pumpwatch, connection: asyncpg.Connection) -> None:
    words = ("--name", "x", "--role", "clinician", "--scope", "read", "--scope", "alerts", "--site", "north")
    made = pumpwatch("token", "create", *words, "--days", "2")
    now = datetime.now(UTC)
    account = await account_of(connection, made.out.strip(), now)
    assert account is not None
    assert (account.scopes, account.sites) == ({Scope.READ, Scope.ALERTS}, {"north"})
    assert await account_of(connection, made.out.strip(), now + timedelta(days=2, minutes=1)) is None
    for wrong in (("--days", "0"), ("--days", "soon"), ("--scope", "everything")):
        assert pumpwatch("token", "create", *words, *wrong).code == 2


def test_a_role_that_there_is_not_and_a_name_that_cannot_be_shown_are_usage_errors(pumpwatch: Pumpwatch) -> None:
    assert pumpwatch("token", "create", "--name", "x", "--role", "root").code == 2
    ended = pumpwatch("token", "create", "--name", "\x1b[2J", "--role", "viewer")
    assert (ended.code, "\x1b" in ended.err) == (2, False)


def test_a_database_that_is_not_there_is_told_in_one_line(forks: Forks) -> None:
    ended = run(forks, "postgresql://127.0.0.1:1/none", "token", "list")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "Traceback" not in ended.err
