"""Which programs may do what, and who did what? Bearer tokens with a role each, and the audit."""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from service.core.access import Scope

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
    """Who asks: a program by its token, or a person by a session. `name` is what history and audit call them."""

    id: UUID
    name: str
    role: Role
    sites: frozenset[str] | None = None
    """The sites whose pumps they see; None: all, and pumps of no site."""
    scopes: frozenset[Scope] | None = None
    """What a token was narrowed to; None: all that the role may do."""

    @property
    def seen(self) -> list[str] | None:
        """The same for a query."""
        return None if self.sites is None else sorted(self.sites)

    def sees(self, site: str | None) -> bool:
        return self.sites is None or site in self.sites


class NameTakenError(Exception):
    """Somebody has this name already; history could not tell the two apart."""


NAME_IN_USE: Final = """
EXISTS (SELECT FROM token WHERE lower(name) = lower($1) AND revoked_at IS NULL)
OR EXISTS (SELECT FROM account WHERE lower(name) = lower($1))
"""
"""A name is one person's for ever, or one program's as long as its token is not revoked."""
_INSERT = f"""
INSERT INTO token (name, role, sha256, scopes, sites, expires_at)
SELECT $1, $2, $3, $4, $5, $6 WHERE NOT ({NAME_IN_USE}) RETURNING id
"""
ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtext('pumpwatch token'))"


async def create_token(
    connection: asyncpg.Connection,
    name: str,
    role: Role,
    actor: str,
    *,
    scopes: Collection[Scope] | None = None,
    sites: Collection[str] | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Make a token and return it: the only time that it can be read. Raises NameTakenError."""
    text = _PREFIX + secrets.token_urlsafe(32)
    narrowed = {"scopes": sorted(scopes) if scopes else None, "sites": sorted(sites) if sites else None}
    async with connection.transaction():
        await connection.execute(ONE_AT_A_TIME)
        token_id = await connection.fetchval(_INSERT, name, role, hash_of(text), *narrowed.values(), expires_at)
        if token_id is None:
            raise NameTakenError(f"{name}: an account or a token in use has this name")
        detail = {"name": name, "role": role, **narrowed, "expires_at": expires_at and expires_at.isoformat()}
        await audit(connection, actor, "token_created", str(token_id), {k: v for k, v in detail.items() if v})
    return text


_ANY = "SELECT EXISTS (SELECT FROM token)"


async def ensure_first_token(connection: asyncpg.Connection) -> str | None:
    """Return a new administrator's token if there never was any token, else None."""
    async with connection.transaction():
        await connection.execute(ONE_AT_A_TIME)
        if await connection.fetchval(_ANY):
            return None
        return await create_token(connection, _FIRST_NAME, Role.ADMINISTRATOR, "first start")


# Found by its hash: how long the comparison takes tells nothing of the token.
_ACCOUNT = """
SELECT id, name, role, sites, scopes FROM token
WHERE sha256 = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
"""


async def account_of(connection: asyncpg.Connection, token: str, now: datetime) -> Account | None:
    """Return who holds this token, or None if nobody does (any more)."""
    row = await connection.fetchrow(_ACCOUNT, hash_of(token), now)
    if row is None:
        return None
    scopes = None if row["scopes"] is None else frozenset(map(Scope, row["scopes"]))
    return Account(row["id"], row["name"], Role(row["role"]), sites_of(row), scopes)


def sites_of(row: asyncpg.Record) -> frozenset[str] | None:
    return None if row["sites"] is None else frozenset(row["sites"])


_TOKENS = """
SELECT id, name, role, scopes, sites, created_at, expires_at, revoked_at FROM token ORDER BY created_at, id
"""


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


def hash_of(token: str) -> bytes:
    """What is kept of a secret that is long enough not to be guessed."""
    return hashlib.sha256(token.encode()).digest()
