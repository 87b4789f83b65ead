"""What may somebody ask who sees some sites alone? Single pumps and alerts of those, and the stream."""

from http import HTTPStatus
from typing import Final
from uuid import UUID

import asyncpg

from service.api.problems import Problem, not_found
from service.postgres.accounts import Account

_OPEN: Final = frozenset({"session", "stream", "openapi.json"})
_OF_PUMP: Final = "SELECT site FROM pump WHERE pump_id = $1"
_OF_ALERT: Final = """
SELECT coalesce(p.site, a.site) AS site FROM alert AS a LEFT JOIN pump AS p ON p.pump = a.pump WHERE a.id = $1
"""


async def check_site(connection: asyncpg.Connection, account: Account, path: str) -> None:
    """Raise Problem: 404 for a pump or an alert of another site, as if there were none; 403 for what is of all."""
    if account.sites is None:
        return
    kind, _, rest = path.removeprefix("/api/v1/").partition("/")
    which = rest.partition("/")[0]
    if kind in _OPEN:
        return
    if kind == "pumps" and which:
        row = await connection.fetchrow(_OF_PUMP, which)
    elif kind == "alerts" and (alert_id := _uuid(which)):
        row = await connection.fetchrow(_OF_ALERT, alert_id)
    else:
        raise Problem(
            HTTPStatus.FORBIDDEN, f"{account.name} sees some sites alone: ask for a pump, an alert, or the stream"
        )
    if row is None or not account.sees(row["site"]):
        raise not_found(f"{kind.removesuffix('s')} {which}")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
