"""Was this asked before, and what was answered? By the key that a caller gives its request; for a day."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
import msgspec

KEPT: Final = timedelta(days=1)

_FORGET: Final = "DELETE FROM idempotency WHERE made_at < $1"
_BEGIN: Final = """
INSERT INTO idempotency (account, key, request, made_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
_KNOWN: Final = (
    "SELECT request, status, headers::text AS headers, body FROM idempotency WHERE account = $1 AND key = $2"
)
_ANSWERED: Final = """
UPDATE idempotency SET status = $3, headers = $4::text::jsonb, body = $5 WHERE account = $1 AND key = $2
"""
_RELEASE: Final = "DELETE FROM idempotency WHERE account = $1 AND key = $2"


class Known(NamedTuple):
    """What came with the key before; without a status it is being worked on. No body: the answer was not to be kept."""

    request: bytes
    status: int | None
    headers: Mapping[str, str]
    body: bytes | None


async def begin(connection: asyncpg.Connection, account: str, key: str, request: bytes, now: datetime) -> Known | None:
    """None: the key is new, and this request's from now on."""
    await connection.execute(_FORGET, now - KEPT)
    if await connection.execute(_BEGIN, account, key, request, now) == "INSERT 0 1":
        return None
    row = await connection.fetchrow(_KNOWN, account, key)
    if row is None:  # it was released this moment
        return Known(request, None, {}, None)
    headers = msgspec.json.decode(row["headers"] or "{}", type=dict[str, str])
    return Known(row["request"], row["status"], headers, row["body"])


async def answered(
    connection: asyncpg.Connection,
    account: str,
    key: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
) -> None:
    await connection.execute(_ANSWERED, account, key, status, msgspec.json.encode(headers).decode(), body)


async def release(connection: asyncpg.Connection, account: str, key: str) -> None:
    """Nothing was done: the key may come again."""
    await connection.execute(_RELEASE, account, key)
