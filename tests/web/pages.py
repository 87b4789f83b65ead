"""Every page of the board, by the path that it is registered at; and where one of it can be seen."""

from typing import Final

import asyncpg

PAGES: Final = {
    "/": "alerts",
    "/alerts/{alert_id}": "alert",
    "/history": "history",
    "/pumps": "fleet",
    "/pumps/{pump_id}": "pump",
    "/pipeline": "pipeline",
    "/account": "account",
    "/admin/endpoints": "admin-endpoints",
    "/admin/endpoints/{endpoint_id}": "admin-endpoint",
    "/admin/deliveries/{delivery_id}": "admin-delivery",
    "/admin/people": "admin-people",
    "/admin/people/{name}": "admin-person",
    "/admin/tokens": "admin-tokens",
    "/admin/on-call": "admin-on-call",
    "/admin/policies": "admin-policies",
    "/admin/registry": "admin-registry",
    "/admin/overrides": "admin-overrides",
    "/admin/quarantine": "admin-quarantine",
    "/admin/quarantine/{number}": "admin-message",
}
"""The names are those of their pictures."""
LEADS_ON: Final = "/admin"
"""To the first of the administrator's pages; it shows nothing of its own."""
_ONE_OF_EACH: Final = """
SELECT (SELECT id FROM alert WHERE condition = 'stall' AND site = 'north') AS alert_id, 'p1' AS pump_id,
       (SELECT id FROM endpoint) AS endpoint_id, 'dr-weber' AS name, max(number) AS number,
       (SELECT id FROM notification WHERE state = 'failed' LIMIT 1) AS delivery_id
FROM (SELECT max(id) AS number FROM quarantine) AS kept
"""
_KEEP_ASIDE: Final = """
INSERT INTO quarantine (received_at, topic, reason, detail, length, sha256, head)
VALUES (now(), 'pumps/v1/p1/telemetry', $1, 'line 1', octet_length($2::bytea), '\\x00', $2) RETURNING id
"""


async def addresses(connection: asyncpg.Connection) -> dict[str, str]:
    """Where each page can be seen, by its name, with something on it."""
    await keep_aside(connection, "malformed", b"{not json")
    one = dict(await connection.fetchrow(_ONE_OF_EACH))
    assert None not in one.values(), one
    return {name: path.format(**one) for path, name in PAGES.items()}


async def keep_aside(connection: asyncpg.Connection, reason: str, head: bytes) -> int:
    """As a message that could not be understood."""
    number: int = await connection.fetchval(_KEEP_ASIDE, reason, head)
    return number
