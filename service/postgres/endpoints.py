"""Who is told? The webhook endpoints: added, listed, disabled."""

import base64
import secrets
from typing import NamedTuple
from uuid import UUID

import asyncpg

from service.postgres.accounts import audit


class NewEndpoint(NamedTuple):
    id: UUID
    secret: str  # whsec_…, to be shown once


class EndpointNameTakenError(Exception):
    """There is an endpoint of this name."""


_INSERT = """
INSERT INTO endpoint (name, url, secret, accepts_simulated) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO NOTHING RETURNING id
"""


async def add_endpoint(
    connection: asyncpg.Connection, name: str, url: str, actor: str, *, accepts_simulated: bool
) -> NewEndpoint:
    """Add an endpoint with a new signing secret of 256 bits. Raises EndpointNameTakenError."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    async with connection.transaction():
        endpoint_id = await connection.fetchval(_INSERT, name, url, secret, accepts_simulated)
        if endpoint_id is None:
            raise EndpointNameTakenError(f"{name}: there is an endpoint of this name")
        # The address may hold a key of its own (Slack's does): not in the audit.
        detail = {"name": name, "accepts_simulated": accepts_simulated}
        await audit(connection, actor, "endpoint_added", str(endpoint_id), detail)
    return NewEndpoint(endpoint_id, secret)


_ENDPOINTS = "SELECT id, name, url, accepts_simulated, enabled, created_at FROM endpoint ORDER BY name"


async def endpoints(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    """Every endpoint, without its secret."""
    rows: list[asyncpg.Record] = await connection.fetch(_ENDPOINTS)
    return rows


_DISABLE = "UPDATE endpoint SET enabled = false WHERE name = $1 AND enabled RETURNING id"


async def disable_endpoint(connection: asyncpg.Connection, name: str, actor: str) -> bool:
    """Send nothing there any more. False if no enabled endpoint has this name."""
    async with connection.transaction():
        endpoint_id = await connection.fetchval(_DISABLE, name)
        if endpoint_id is not None:
            await audit(connection, actor, "endpoint_disabled", str(endpoint_id), {"name": name})
    return endpoint_id is not None
