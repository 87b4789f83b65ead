"""What may somebody ask who sees some sites alone? What is of those sites; lists are narrowed by their queries."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from uuid import UUID

import asyncpg

from service.api.problems import Problem, not_found, wrong_field
from service.postgres.accounts import Account
from service.postgres.queries import TOPIC_OF

_LISTS: Final = frozenset(
    {
        *("session", "session/password", "stream", "openapi.json", "pumps", "alerts", "fleet/latest"),
        *("fleet/statistics", "sites", "audit", "burden", "deliveries", "drills", "quarantine"),
        *("rules", "rules/versions", "rules/overrides", "rules/shadow"),
    }
)
"""What narrows itself: to the sites of whoever asks."""

_OF_PUMP: Final = "SELECT site FROM pump WHERE pump_id = $1 AND erased_at IS NULL"
_OF_SITE: Final = "SELECT site FROM site WHERE site = $1"
_OF_ALERT: Final = """
SELECT coalesce(p.site, a.site) AS site FROM alert AS a LEFT JOIN pump AS p ON p.pump = a.pump WHERE a.id = $1::uuid
"""
_OF_DELIVERY: Final = """
SELECT coalesce(p.site, a.site) AS site FROM notification AS n JOIN alert AS a ON a.id = n.alert_id
LEFT JOIN pump AS p ON p.pump = a.pump WHERE n.id = $1
"""
_OF_ASIDE: Final = f"""
SELECT p.site FROM quarantine AS q JOIN pump AS p ON p.pump_id = {TOPIC_OF.format(topic="q.topic")}
WHERE q.id = $1::bigint
"""
_OF_OVERRIDE: Final = """
SELECT CASE scope WHEN 'site' THEN name WHEN 'pump' THEN (SELECT site FROM pump WHERE pump_id = name) END AS site
FROM rule_override WHERE id = $1::bigint
"""
_BY_KIND: Final[Mapping[str, str]] = {
    "pumps": _OF_PUMP,
    "rules/pumps": _OF_PUMP,
    "sites": _OF_SITE,
    "alerts": _OF_ALERT,
    "drills": _OF_ALERT,
    "deliveries": _OF_DELIVERY,
    "quarantine": _OF_ASIDE,
    "rules/overrides": _OF_OVERRIDE,
}
_OF_ALL: Final = frozenset({"deliveries/redrive", "deliveries/give-up", "quarantine/replay"})
"""What looks as if it were about one, and is about all."""


async def check_site(connection: asyncpg.Connection, account: Account, path: str) -> None:
    """Raise Problem: 404 for what is of another site, as if there were none; 403 for what is of all."""
    if account.sites is None:
        return
    below = path.removeprefix("/api/v1/")
    if below in _LISTS and below != path:
        return
    kind, which = _named(below) if below != path and below not in _OF_ALL else ("", "")
    if not which:
        raise Problem(HTTPStatus.FORBIDDEN, f"{account.name} sees some sites alone, and this is of all")
    if not account.sees(await _site(connection, kind, which)):
        raise not_found(f"{kind.rpartition('/')[2].removesuffix('s')} {which}")


async def check_override(connection: asyncpg.Connection, account: Account, scope: str, name: str) -> None:
    """Raise Problem (422) where an override would change what is judged of another site's pumps."""
    if account.sites is None or (scope == "site" and name in account.sites):
        return
    if scope != "pump" or not account.sees(await _site(connection, "pumps", name)):
        raise wrong_field("body", "name", f"must be a site or a pump that {account.name} sees")


def _named(below: str) -> tuple[str, str]:
    """As what, and which one, a path names; empty where it names none."""
    for kind in sorted(_BY_KIND, key=len, reverse=True):
        if below.startswith(f"{kind}/"):
            return kind, below.removeprefix(f"{kind}/").partition("/")[0]
    return "", ""


async def _site(connection: asyncpg.Connection, kind: str, which: str) -> str | None:
    """Of which site it is; "" where there is none of it, which nobody sees, or it is of no site."""
    query = _BY_KIND[kind]
    asked: object = which
    if "::uuid" in query:
        asked = _uuid(which)
    elif "::bigint" in query:
        asked = int(which) if which.isascii() and which.isdecimal() and len(which) < 19 else None
    row = None if asked is None else await connection.fetchrow(query, asked)
    return "" if row is None else row["site"]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
