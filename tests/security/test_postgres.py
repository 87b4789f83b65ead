"""The database over TLS: by a certificate of our authority, or not at all.

The embedded PostgreSQL is built without TLS, so that it ends in front of it here.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from service.settings import load
from tests.commands.here import ran, ran_beside
from tests.security.installation import HOST, Installation
from tests.security.tls_proxy import tls_in_front


@pytest.fixture
async def encrypted(postgres_url: str, installation: Installation) -> AsyncIterator[str]:
    """A migrated database behind a certificate for localhost, reached over TLS alone."""
    parts = urlsplit(postgres_url)
    login = parts.netloc.rpartition("@")[0]
    async with tls_in_front(parts.port or 5432, installation.directory / "servers" / HOST, "127.0.0.1") as port:
        yield urlunsplit(parts._replace(netloc=f"{login}@{HOST}:{port}"))


async def test_the_service_speaks_to_a_database_that_its_authority_vouches_for(
    encrypted: str, installation: Installation
) -> None:
    url = f"{encrypted}?sslmode=verify-full&sslrootcert={installation.directory / 'ca.crt'}"
    ended = await ran_beside("migrate", "--check", "--database-url", url)
    assert ended.code == 0, ended.err

    connection = await asyncpg.connect(load(database_url=url, required=["database_url"]).database_url)
    assert connection._transport.get_extra_info("ssl_object") is not None
    assert await connection.fetchval("SELECT count(*) FROM pump") == 0
    await connection.close()


async def test_a_database_that_somebody_else_vouches_for_is_refused_in_a_line(encrypted: str, tmp_path: Path) -> None:
    assert ran("ca", "init", "--dir", tmp_path / "other").code == 0
    url = f"{encrypted}?sslmode=verify-full&sslrootcert={tmp_path / 'other' / 'ca.crt'}"
    ended = await ran_beside("migrate", "--check", "--database-url", url)
    assert ended.code == 1
    assert "certificate verify failed" in ended.err
    assert ended.err.count("\n") == 1


async def test_a_certificate_for_another_host_is_refused(postgres_url: str, installation: Installation) -> None:
    installation.run("issue-server", "elsewhere.example")
    parts = urlsplit(postgres_url)
    pair = installation.directory / "servers" / "elsewhere.example"
    async with tls_in_front(parts.port or 5432, pair, "127.0.0.1") as port:
        netloc = f"{parts.netloc.rpartition('@')[0]}@{HOST}:{port}"
        asked = f"sslmode=verify-full&sslrootcert={installation.directory / 'ca.crt'}"
        ended = await ran_beside(
            "migrate", "--check", "--database-url", urlunsplit(parts._replace(netloc=netloc, query=asked))
        )
    assert ended.code == 1
    assert "Hostname mismatch" in ended.err


async def test_in_clear_a_database_that_wants_tls_is_not_spoken_to(encrypted: str) -> None:
    ended = await ran_beside("migrate", "--check", "--database-url", f"{encrypted}?sslmode=disable")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "no encryption" in ended.err


async def test_an_authority_that_is_not_there_is_named(encrypted: str, tmp_path: Path) -> None:
    url = f"{encrypted}?sslmode=verify-full&sslrootcert={tmp_path / 'missing.crt'}"
    ended = await ran_beside("migrate", "--check", "--database-url", url)
    assert ended.code == 2
    assert ended.err == f"pumpwatch: PUMPWATCH_DATABASE_URL: sslrootcert: {tmp_path / 'missing.crt'} is not a file\n"
