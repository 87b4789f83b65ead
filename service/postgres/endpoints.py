"""Who is told, where and how? The webhook endpoints; their secrets are sealed and shown once."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from service.core.bodies import endpoint_test
from service.postgres.accounts import audit
from service.postgres.waking import CHANNEL
from service.vault import SEALED, Vault

SETTABLE: Final = (
    *("name", "url", "format", "template", "routing_key", "priorities", "accepts_simulated"),
    *("answer_within_s", "most_requests"),
)
"""What a person may set."""


class NewEndpoint(NamedTuple):
    id: UUID
    secret: str  # whsec_…, to be shown once


class EndpointNameTakenError(Exception):
    """There is an endpoint of this name."""


class PendingError(Exception):
    """The endpoint has yet to be told something."""


_INSERT: Final = "INSERT INTO endpoint ({columns}) VALUES ({places}) ON CONFLICT (name) WHERE deleted_at IS NULL"


async def add_endpoint(
    connection: asyncpg.Connection,
    vault: Vault,
    name: str,
    url: str,
    actor: str,
    *,
    accepts_simulated: bool,
    **how: Any,
) -> NewEndpoint:
    """Add an endpoint with a new signing secret of 256 bits; `how` holds the other columns of SETTABLE.

    Raises EndpointNameTakenError, and VaultError without a key.
    """
    secret = new_secret()
    row = {"name": name, "url": url, "accepts_simulated": accepts_simulated, **_sealed(vault, how)}
    row["secret"] = vault.seal(secret)
    insert = _INSERT.format(columns=", ".join(row), places=", ".join(f"${n}" for n in range(1, len(row) + 1)))
    async with connection.transaction():
        endpoint_id = await connection.fetchval(f"{insert} DO NOTHING RETURNING id", *row.values())
        if endpoint_id is None:
            raise EndpointNameTakenError(f"{name}: there is an endpoint of this name")
        await audit(connection, actor, "endpoint_added", str(endpoint_id), _audited(row))
    return NewEndpoint(endpoint_id, secret)


# Every endpoint but its keys, how it is doing, and what waits for it.
_ENDPOINTS: Final = """
SELECT e.id, e.name, e.url, e.format, e.template, e.routing_key IS NOT NULL AS has_routing_key, e.priorities,
    e.accepts_simulated, e.answer_within_s, e.most_requests, e.enabled, e.disabled_reason, e.version, e.created_at,
    coalesce(c.failures, 0) AS failures_in_a_row, c.opened_at AS circuit_opened_at,
    (SELECT count(*) FROM notification AS n WHERE n.endpoint = e.id AND n.state = 'pending') AS pending,
    (SELECT array_agg(f.valid_until ORDER BY f.valid_until) FROM former_secret AS f
     WHERE f.endpoint = e.id AND f.valid_until > now()) AS former_secrets_until
FROM endpoint AS e LEFT JOIN circuit AS c ON c.endpoint = e.id
WHERE e.deleted_at IS NULL AND ($1::uuid IS NULL OR e.id = $1) AND ($2::text IS NULL OR e.name = $2)
ORDER BY e.name
"""


async def endpoints(
    connection: asyncpg.Connection, endpoint_id: UUID | None = None, name: str | None = None
) -> list[asyncpg.Record]:
    """Every endpoint, or the one of an id or a name; without secrets."""
    rows: list[asyncpg.Record] = await connection.fetch(_ENDPOINTS, endpoint_id, name)
    return rows


# Whoever changes an endpoint holds its row first.
_LOCK: Final = "SELECT * FROM endpoint WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"


async def lock_endpoint(connection: asyncpg.Connection, endpoint_id: UUID) -> asyncpg.Record | None:
    return await connection.fetchrow(_LOCK, endpoint_id)


async def update_endpoint(
    connection: asyncpg.Connection, vault: Vault, endpoint_id: UUID, given: Mapping[str, Any], actor: str
) -> None:
    """Set some of SETTABLE. Raises EndpointNameTakenError, and VaultError without a key for a routing key."""
    row = _sealed(vault, given)
    sets = ", ".join(f"{column} = ${number}" for number, column in enumerate(row, start=2))
    async with connection.transaction():
        try:
            await connection.execute(
                f"UPDATE endpoint SET {sets}, version = version + 1 WHERE id = $1", endpoint_id, *row.values()
            )
        except asyncpg.UniqueViolationError:
            raise EndpointNameTakenError(f"{given['name']}: there is an endpoint of this name") from None
        await audit(connection, actor, "endpoint_changed", str(endpoint_id), _audited(row))


_ENABLE: Final = """
UPDATE endpoint SET enabled = $2, disabled_reason = $3, version = version + 1
WHERE id = $1 AND enabled <> $2 AND deleted_at IS NULL RETURNING name
"""
# It is believed again: nothing that has gone before counts.
_FORGET_FAILURES: Final = "DELETE FROM circuit WHERE endpoint = $1"


async def enable_endpoint(
    connection: asyncpg.Connection, endpoint_id: UUID, actor: str, *, enabled: bool, reason: str = ""
) -> bool:
    """Send there again, what has been waiting first; or nothing any more. False if it was so already."""
    async with connection.transaction():
        name = await connection.fetchval(_ENABLE, endpoint_id, enabled, None if enabled else reason or f"by {actor}")
        if name is None:
            return False
        await connection.execute(_FORGET_FAILURES, endpoint_id)
        action = "endpoint_enabled" if enabled else "endpoint_disabled"
        await audit(connection, actor, action, str(endpoint_id), {"name": name, "reason": reason})
        await _wake(connection)
    return True


_KEEP_FORMER: Final = """
INSERT INTO former_secret (endpoint, secret, valid_until)
SELECT id, secret, now() + $2 FROM endpoint WHERE id = $1 AND $2 > interval '0'
"""
_DROP_FORMER: Final = "DELETE FROM former_secret WHERE endpoint = $1 AND valid_until <= now()"
_REPLACE_KEY: Final = "UPDATE endpoint SET secret = $2, version = version + 1 WHERE id = $1 RETURNING name"


async def rotate_secret(
    connection: asyncpg.Connection, vault: Vault, endpoint_id: UUID, actor: str, both_for: timedelta
) -> str:
    """Return a new signing secret; for a while the old one signs beside it. Raises VaultError without a key."""
    secret = new_secret()
    sealed = vault.seal(secret)
    async with connection.transaction():
        await connection.execute(_DROP_FORMER, endpoint_id)
        await connection.execute(_KEEP_FORMER, endpoint_id, both_for)
        name = await connection.fetchval(_REPLACE_KEY, endpoint_id, sealed)
        detail = {"name": name, "both_for_s": both_for.total_seconds()}
        await audit(connection, actor, "endpoint_secret_rotated", str(endpoint_id), detail)
    return secret


_PENDING: Final = "SELECT count(*) FROM notification WHERE endpoint = $1 AND state = 'pending'"
# What it was told stays, under its name; its address and its keys do not.
_DELETE: Final = """
UPDATE endpoint SET deleted_at = now(), enabled = false, url = '', secret = '', routing_key = NULL, template = NULL
WHERE id = $1 RETURNING name
"""
_DELETE_FORMER: Final = "DELETE FROM former_secret WHERE endpoint = $1"


async def delete_endpoint(connection: asyncpg.Connection, endpoint_id: UUID, actor: str) -> None:
    """Raises PendingError if there is anything that it has yet to be told."""
    async with connection.transaction():
        await lock_endpoint(connection, endpoint_id)
        if pending := await connection.fetchval(_PENDING, endpoint_id):
            raise PendingError(f"{pending} notifications for it are pending: let them go, or give them up, first")
        name = await connection.fetchval(_DELETE, endpoint_id)
        await connection.execute(_DELETE_FORMER, endpoint_id)
        await connection.execute(_FORGET_FAILURES, endpoint_id)
        await audit(connection, actor, "endpoint_deleted", str(endpoint_id), {"name": name})


_TEST: Final = """
INSERT INTO notification (id, number, endpoint, kind, priority, body, created_at, due_at)
VALUES (gen_random_uuid(), 0, $1, 'test', 'low', $2::text::jsonb, now(), now()) RETURNING id
"""


async def fire_test(connection: asyncpg.Connection, endpoint_id: UUID, name: str, actor: str, now: datetime) -> str:
    """Put a notification into the outbox that says that it is a test; its id."""
    async with connection.transaction():
        body = msgspec.json.encode(endpoint_test(endpoint_id, name, now)).decode()
        notification_id: str = await connection.fetchval(_TEST, endpoint_id, body)
        await audit(connection, actor, "endpoint_tested", str(endpoint_id), {"notification": notification_id})
        await _wake(connection)
    return notification_id


_PLAIN: Final = "SELECT count(*) FROM endpoint WHERE secret <> '' AND NOT starts_with(secret, $1)"
_TO_SEAL: Final = "SELECT id, secret, routing_key FROM endpoint WHERE secret <> '' FOR NO KEY UPDATE"
_RESEAL: Final = "UPDATE endpoint SET secret = $2, routing_key = $3 WHERE id = $1"
_FORMER: Final = "SELECT ctid::text AS at, secret FROM former_secret FOR UPDATE"
_RESEAL_FORMER: Final = "UPDATE former_secret SET secret = $2 WHERE ctid = $1::text::tid"


async def unsealed(connection: asyncpg.Connection) -> int:
    """How many endpoints' secrets stand in the database as they are."""
    count: int = await connection.fetchval(_PLAIN, SEALED)
    return count


async def seal_all(connection: asyncpg.Connection, vault: Vault) -> int:
    """Seal with the vault's first key what was plain, or sealed with another of its keys; how many endpoints' it was.

    Raises VaultError if one was sealed with a key that the vault does not have.
    """
    count = 0
    async with connection.transaction():
        for row in await connection.fetch(_TO_SEAL):
            if not vault.is_fresh(row["secret"]):
                key = row["routing_key"] and vault.fresh(row["routing_key"])
                await connection.execute(_RESEAL, row["id"], vault.fresh(row["secret"]), key)
                count += 1
        for row in await connection.fetch(_FORMER):
            if not vault.is_fresh(row["secret"]):
                await connection.execute(_RESEAL_FORMER, row["at"], vault.fresh(row["secret"]))
    return count


async def _wake(connection: asyncpg.Connection) -> None:
    await connection.execute(f"NOTIFY {CHANNEL}")


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _sealed(vault: Vault, given: Mapping[str, Any]) -> dict[str, Any]:
    key = given.get("routing_key")
    return {**given, **({"routing_key": vault.seal(key)} if key else {})}


def _audited(row: Mapping[str, Any]) -> dict[str, Any]:
    """The address may hold a key of its own (Slack's does): neither it nor a key is for the audit."""
    return {column: value for column, value in row.items() if column not in _KEYS}


_KEYS: Final[Sequence[str]] = ("url", "secret", "routing_key", "template")
