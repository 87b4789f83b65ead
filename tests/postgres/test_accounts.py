"""Tokens: made once, known by their hash, ended at once."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from service.postgres.accounts import (
    NameTakenError,
    Role,
    account_of,
    create_token,
    ensure_first_token,
    revoke_token,
    tokens,
)

NOW = datetime.now(UTC)


async def test_the_first_start_makes_one_administrator_and_no_later_one_does(postgres_url: str) -> None:
    pool = await asyncpg.create_pool(postgres_url, min_size=5, max_size=5)

    async def start() -> str | None:
        async with pool.acquire() as connection:
            return await ensure_first_token(connection)

    made = [token for token in await asyncio.gather(*(start() for _ in range(5))) if token]
    assert len(made) == 1
    async with pool.acquire() as connection:
        account = await account_of(connection, made[0], NOW)
        assert account is not None
        assert account.role is Role.ADMINISTRATOR
        assert await revoke_token(connection, account.name, "test")
    assert await start() is None
    await pool.close()


async def test_a_token_is_known_as_it_was_made_until_it_is_revoked(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    token = await create_token(connection, "ward 3", Role.CLINICIAN, "test")
    account = await account_of(connection, token, NOW)
    assert account is not None
    assert (account.name, account.role) == ("ward 3", Role.CLINICIAN)
    for other in ("", token[:-1], f"{token} ", token.upper()):
        assert await account_of(connection, other, NOW) is None

    with pytest.raises(NameTakenError, match="ward 3"):
        await create_token(connection, "ward 3", Role.VIEWER, "test")
    assert await revoke_token(connection, "ward 3", "test")
    assert not await revoke_token(connection, "ward 3", "test")
    assert await account_of(connection, token, NOW) is None
    await create_token(connection, "ward 3", Role.VIEWER, "test")

    shown = [(row["name"], row["role"], row["revoked_at"] is None) for row in await tokens(connection)]
    assert shown == [("ward 3", "clinician", False), ("ward 3", "viewer", True)]
    actions = [row["action"] for row in await connection.fetch("SELECT action FROM audit ORDER BY id")]
    assert actions == ["token_created", "token_revoked", "token_created"]
    await connection.close()


def test_each_role_may_do_what_those_before_it_may() -> None:
    assert Role.VIEWER.rank < Role.CLINICIAN.rank < Role.ADMINISTRATOR.rank
