"""A database that is away, of another version, unsafe, or sealed with another key."""

import re
from uuid import uuid4

import asyncpg

from service.doctor import database
from service.doctor.finding import Level
from service.settings import Settings
from service.vault import new_key
from tests.doctor.seen import told
from tests.keys import KEY


def settings(url: str, key: str = KEY) -> Settings:
    return Settings(database_url=url, secret_key=key)


async def looked(url: str, key: str = KEY) -> list[database.Finding]:
    connection, found = await database.connect(settings(url, key))
    assert connection is not None, found
    try:
        return [*found, *await database.look(connection, settings(url, key))]
    finally:
        await connection.close()


async def test_a_database_that_is_away_or_lets_nobody_in_is_found(plain_postgres_url: str) -> None:
    connection, found = await database.connect(settings("postgresql://u:secret@127.0.0.1:1/x"))
    assert connection is None
    assert "does not answer: ConnectionRefusedError" in told(found)
    assert "secret" not in told(found)
    for wrong in (plain_postgres_url.replace("postgres:", "postgres:x"), plain_postgres_url + "x"):
        connection, found = await database.connect(settings(wrong))
        assert connection is None
        assert "lets nobody in" in told(found)


async def test_a_database_that_may_lose_commits_and_has_no_backup_says_so(plain_postgres_url: str) -> None:
    found = await looked(plain_postgres_url)
    assert "fsync is off" in told(found)  # that of the tests is
    assert "what is receipted after a dump can be lost" in told(found, Level.WARNING)
    assert "is that of this version" in told(found, Level.OK)
    assert "that of the database agrees with ours" in told(found, Level.OK)


async def test_an_older_schema_is_found(empty_postgres_url: str) -> None:
    assert "migrations are missing, from 0001_the_spine.sql on -> `pumpwatch migrate`" in told(
        await looked(empty_postgres_url)
    )


async def test_a_newer_schema_is_found(postgres_url: str, connection: asyncpg.Connection) -> None:
    await connection.execute("INSERT INTO migration (number, name, sha256) VALUES (9999, '9999_next.sql', '')")
    assert "newer than this version" in told(await looked(postgres_url))


async def test_a_secret_key_that_opens_nothing_is_found(postgres_url: str, connection: asyncpg.Connection) -> None:
    await connection.execute(
        "INSERT INTO endpoint (name, url, secret) VALUES ('ward', 'https://pager.example', 'whsec_plain')"
    )
    assert "1 endpoints are not sealed -> `pumpwatch migrate`" in told(await looked(postgres_url), Level.WARNING)
    sealed = database.vault_of(settings(postgres_url)).seal("whsec_plain")
    await connection.execute("UPDATE endpoint SET secret = $1", sealed)
    assert "secret key" not in told(await looked(postgres_url))
    assert "not the key that the endpoints' secrets were sealed with" in told(await looked(postgres_url, new_key()))


async def test_an_account_that_may_not_look_everywhere_is_told_so_and_the_rest_is_looked_at(
    postgres_url: str, connection: asyncpg.Connection
) -> None:
    name = f"doctor_{uuid4().hex[:8]}"
    await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'; GRANT SELECT ON migration TO {name}")
    try:
        found = await looked(re.sub("//[^@]+@", f"//{name}:x@", postgres_url))
    finally:
        await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    warned = told(found, Level.WARNING)
    assert "secret key: this account of the database may not look: permission denied for table endpoint" in warned
    assert "clocks: this account of the database may not look" in warned
    assert "is that of this version" in told(found, Level.OK)
