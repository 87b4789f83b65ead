"""Which people may log in, who is logged in, and who has guessed wrongly? Secrets are kept as hashes alone."""

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from service.core.access import REMEMBERED_S, wait_s
from service.postgres.accounts import (
    NAME_IN_USE,
    ONE_AT_A_TIME,
    Account,
    NameTakenError,
    Role,
    audit,
    hash_of,
    sites_of,
)

IDLE_FOR: Final = timedelta(hours=12)
"""A session that is not used for this long is over."""
LASTS: Final = timedelta(days=7)
LINK_LASTS: Final = timedelta(minutes=15)
_SEEN_EVERY: Final = timedelta(minutes=1)

_ADD: Final = f"""
INSERT INTO account (name, role, sites, password) SELECT $1, $2, $3, $4 WHERE NOT ({NAME_IN_USE}) RETURNING id
"""


class VersionError(Exception):
    """Somebody else has changed it meanwhile; `current` is the version that stands."""

    def __init__(self, current: int) -> None:
        super().__init__(f"it was changed meanwhile, to version {current}")
        self.current = current


async def add(
    connection: asyncpg.Connection,
    name: str,
    role: Role,
    actor: str,
    *,
    sites: Collection[str] | None = None,
    password: str | None = None,
) -> UUID:
    """Make an account; `password` is its Argon2 hash, None: by link alone. Raises NameTakenError."""
    of_sites = None if sites is None else sorted(sites)
    async with connection.transaction():
        await connection.execute(ONE_AT_A_TIME)
        made: UUID | None = await connection.fetchval(_ADD, name, role, of_sites, password)
        if made is None:
            raise NameTakenError(f"{name}: an account or a token in use has this name")
        await audit(connection, actor, "account_created", name, {"role": role, "sites": of_sites})
    return made


_ALL: Final = """
SELECT id, name, role, sites, password IS NOT NULL AS has_password, created_at, disabled_at, version,
       (SELECT max(used_at) FROM session WHERE session.account = account.id) AS last_seen_at
FROM account
"""


async def accounts(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(f"{_ALL} ORDER BY lower(name)")
    return rows


async def account_named(connection: asyncpg.Connection, name: str) -> asyncpg.Record | None:
    return await connection.fetchrow(f"{_ALL} WHERE lower(name) = lower($1)", name)


_CHANGE: Final = """
UPDATE account SET role = $2, sites = $3, disabled_at = CASE WHEN $4 THEN coalesce(disabled_at, $5) END,
       version = version + 1
WHERE id = $1
"""


async def change(
    connection: asyncpg.Connection,
    name: str,
    role: Role,
    actor: str,
    now: datetime,
    *,
    sites: Collection[str] | None,
    disabled: bool,
    version: int,
) -> bool:
    """Set what an account may do; whoever is disabled or may do less has to log in again. False: there is none.

    Raises VersionError.
    """
    of_sites = None if sites is None else sorted(sites)
    async with connection.transaction():
        before = await connection.fetchrow(
            "SELECT id, version FROM account WHERE lower(name) = lower($1) FOR UPDATE", name
        )
        if before is None:
            return False
        if before["version"] != version:
            raise VersionError(before["version"])
        await connection.execute(_CHANGE, before["id"], role, of_sites, disabled, now)
        await _end_all(connection, before["id"])
        detail = {"role": role, "sites": of_sites, "disabled": disabled}
        await audit(connection, actor, "account_changed", name, detail)
    return True


async def set_password(connection: asyncpg.Connection, name: str, password: str, actor: str) -> bool:
    """Set the Argon2 hash; every session of the account ends. False: there is no such account."""
    async with connection.transaction():
        account_id = await connection.fetchval(
            "UPDATE account SET password = $2, version = version + 1 WHERE lower(name) = lower($1) RETURNING id",
            name,
            password,
        )
        if account_id is not None:
            await _end_all(connection, account_id)
            await audit(connection, actor, "password_set", name)
    return account_id is not None


async def _end_all(connection: asyncpg.Connection, account_id: UUID) -> None:
    await connection.execute("DELETE FROM session WHERE account = $1", account_id)


class Credentials(NamedTuple):
    id: UUID
    name: str
    password: str | None
    """Its Argon2 hash; None: by link alone."""


_CHANGED_BY_OWNER: Final = """
UPDATE account SET password = $3, version = version + 1
WHERE id = $1 AND password IS NOT DISTINCT FROM $2 AND disabled_at IS NULL RETURNING id
"""


async def change_password(connection: asyncpg.Connection, owner: Credentials, password: str, session: str) -> bool:
    """Set the Argon2 hash in its owner's name; every session but this one ends.

    False: the password is no longer what `owner` says, or the account was disabled meanwhile.
    """
    async with connection.transaction():
        if await connection.fetchval(_CHANGED_BY_OWNER, owner.id, owner.password, password) is None:
            return False
        await connection.execute("DELETE FROM session WHERE account = $1 AND sha256 <> $2", owner.id, hash_of(session))
        await audit(connection, owner.name, "password_changed", owner.name)
    return True


async def credentials(connection: asyncpg.Connection, name: str) -> Credentials | None:
    """Of an account that is not disabled."""
    row = await connection.fetchrow(
        "SELECT id, name, password FROM account WHERE lower(name) = lower($1) AND disabled_at IS NULL", name
    )
    return None if row is None else Credentials(**row)


async def begin_session(connection: asyncpg.Connection, account_id: UUID, name: str, how: str, now: datetime) -> str:
    """Return the text of a new session: the only time that it can be read."""
    text = secrets.token_urlsafe(32)
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO session (sha256, account, began_at, used_at, ends_at) VALUES ($1, $2, $3, $3, $4)",
            hash_of(text),
            account_id,
            now,
            now + LASTS,
        )
        await connection.execute("DELETE FROM session WHERE ends_at < $1 OR used_at < $2", now, now - IDLE_FOR)
        await audit(connection, name, "logged_in", name, {"by": how})
    return text


_SESSION: Final = """
SELECT a.id, a.name, a.role, a.sites, s.used_at, s.ends_at FROM session AS s JOIN account AS a ON a.id = s.account
WHERE s.sha256 = $1 AND s.ends_at > $2 AND s.used_at > $3 AND a.disabled_at IS NULL
"""


async def account_in_session(
    connection: asyncpg.Connection, session: str, now: datetime
) -> tuple[Account, datetime] | None:
    """Return whose session it is and when it ends at the latest; None if it is over, or never was."""
    row = await connection.fetchrow(_SESSION, hash_of(session), now, now - IDLE_FOR)
    if row is None:
        return None
    if now - row["used_at"] > _SEEN_EVERY:
        await connection.execute("UPDATE session SET used_at = $2 WHERE sha256 = $1", hash_of(session), now)
    return Account(row["id"], row["name"], Role(row["role"]), sites_of(row)), row["ends_at"]


async def end_session(connection: asyncpg.Connection, session: str, actor: str) -> None:
    async with connection.transaction():
        await connection.execute("DELETE FROM session WHERE sha256 = $1", hash_of(session))
        await audit(connection, actor, "logged_out", actor)


async def make_link(connection: asyncpg.Connection, name: str, actor: str, now: datetime) -> str | None:
    """Return the text of a link that logs in once; None if there is no such account, or it is disabled."""
    found = await credentials(connection, name)
    if found is None:
        return None
    text = secrets.token_urlsafe(32)
    async with connection.transaction():
        await connection.execute("DELETE FROM login_link WHERE ends_at < $1", now - timedelta(days=1))
        await connection.execute(
            "INSERT INTO login_link (sha256, account, ends_at) VALUES ($1, $2, $3)",
            hash_of(text),
            found.id,
            now + LINK_LASTS,
        )
        await audit(connection, actor, "login_link_made", found.name)
    return text


_USE_LINK: Final = """
UPDATE login_link SET used_at = $2 FROM account
WHERE login_link.sha256 = $1 AND login_link.used_at IS NULL AND login_link.ends_at > $2
    AND account.id = login_link.account AND account.disabled_at IS NULL
RETURNING account.id, account.name
"""


async def use_link(connection: asyncpg.Connection, link: str, now: datetime) -> tuple[UUID, str] | None:
    """Whose link it is; None if it is unknown, used or too old. It works once."""
    row = await connection.fetchrow(_USE_LINK, hash_of(link), now)
    return None if row is None else (row["id"], row["name"])


_FAILED: Final = "SELECT count(*) AS failed, max(at) AS at FROM login_failure WHERE what = $1 AND at > $2"


async def login_wait_s(connection: asyncpg.Connection, name: str, address: str, now: datetime) -> float:
    """Return for how many seconds nobody may try this name, or from this address; 0: at once."""
    since = now - timedelta(seconds=REMEMBERED_S)
    of_name, of_address = [await connection.fetchrow(_FAILED, what, since) for what in _whats(name, address)]
    last: datetime = max(of_name["at"] or since, of_address["at"] or since)
    return max(0.0, wait_s(of_name["failed"], of_address["failed"]) - (now - last).total_seconds())


async def login_tried(connection: asyncpg.Connection, name: str, address: str, now: datetime) -> None:
    """Counts as failed until it has succeeded: many tries at once are no way around the wait."""
    await connection.executemany(
        "INSERT INTO login_failure (what, at) VALUES ($1, $2)", [(what, now) for what in _whats(name, address)]
    )
    await connection.execute("DELETE FROM login_failure WHERE at < $1", now - timedelta(seconds=REMEMBERED_S))


_SUCCEEDED: Final = "DELETE FROM login_failure WHERE what = $1 OR (what = $2 AND at = $3)"


async def login_succeeded(connection: asyncpg.Connection, name: str, address: str, tried_at: datetime) -> None:
    """Nothing stands against the name any more; against the address what others of it have tried."""
    await connection.execute(_SUCCEEDED, *_whats(name, address), tried_at)


def _whats(name: str, address: str) -> tuple[bytes, bytes]:
    return hash_of(f"name {name.lower()}"), hash_of(f"address {address}")
