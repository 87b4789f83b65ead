"""Who may do what, and who did what? Bearer tokens with a role each, and the audit."""

import hashlib
import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

_PREFIX: Final = "pumpwatch_"  # so that a token is recognised where it should not be
_FIRST_NAME: Final = "first-administrator"


class Role(StrEnum):
    """Each may do what those before it may."""

    VIEWER = "viewer"
    CLINICIAN = "clinician"
    ADMINISTRATOR = "administrator"

    @property
    def rank(self) -> int:
        return list(Role).index(self)


class Account(NamedTuple):
    """Who holds a token. `name` is what history and audit call them."""

    token_id: UUID
    name: str
    role: Role


class NameTakenError(Exception):
    """A token in use has this name already; history could not tell the two apart."""


# A name is one person's or program's as long as its token is not revoked.
_INSERT = """
INSERT INTO token (name, role, sha256)
SELECT $1, $2, $3
WHERE NOT EXISTS (SELECT FROM token WHERE name = $1 AND revoked_at IS NULL)
RETURNING id
"""
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('pumpwatch token'))"


async def create_token(connection: asyncpg.Connection, name: str, role: Role, actor: str) -> str:
    """Make a token and return it: the only time that it can be read. Raises NameTakenError."""
    text = _PREFIX + secrets.token_urlsafe(32)
    async with connection.transaction():
        await connection.execute(_ONE_AT_A_TIME)
        token_id = await connection.fetchval(_INSERT, name, role, _hash(text))
        if token_id is None:
            raise NameTakenError(f"{name}: a token in use has this name; revoke it first")
        await audit(connection, actor, "token_created", str(token_id), {"name": name, "role": role})
    return text


_ANY = "SELECT EXISTS (SELECT FROM token)"


async def ensure_first_token(connection: asyncpg.Connection) -> str | None:
    """Return a new administrator's token if there never was any token, else None."""
    async with connection.transaction():
        await connection.execute(_ONE_AT_A_TIME)
        if await connection.fetchval(_ANY):
            return None
        return await create_token(connection, _FIRST_NAME, Role.ADMINISTRATOR, "first start")


# Found by its hash: how long the comparison takes tells nothing of the token.
_ACCOUNT = "SELECT id, name, role FROM token WHERE sha256 = $1 AND revoked_at IS NULL"


async def account_of(connection: asyncpg.Connection, token: str) -> Account | None:
    """Return who holds this token, or None if nobody does (any more)."""
    row = await connection.fetchrow(_ACCOUNT, _hash(token))
    return None if row is None else Account(row["id"], row["name"], Role(row["role"]))


_TOKENS = "SELECT id, name, role, created_at, revoked_at FROM token ORDER BY created_at, id"


async def tokens(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    """Every token ever made, without what it was."""
    rows: list[asyncpg.Record] = await connection.fetch(_TOKENS)
    return rows


_REVOKE = "UPDATE token SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL RETURNING id"


async def revoke_token(connection: asyncpg.Connection, name: str, actor: str) -> bool:
    """End the token of this name, from the next request on. False if there is none in use."""
    async with connection.transaction():
        token_id = await connection.fetchval(_REVOKE, name)
        if token_id is not None:
            await audit(connection, actor, "token_revoked", str(token_id), {"name": name})
    return token_id is not None


_AUDIT = "INSERT INTO audit (actor, action, subject, detail) VALUES ($1, $2, $3, $4::text::jsonb)"


async def audit(
    connection: asyncpg.Connection, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Record a write, in the writer's transaction. `action` is past tense; no secrets in `detail`."""
    await connection.execute(_AUDIT, actor, action, subject, msgspec.json.encode(detail or {}).decode())


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
