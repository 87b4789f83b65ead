"""Who may come in? Everything but health needs a token; what nobody thought of needs one too."""

from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.context import DATABASE_PATIENCE_S, Context
from service.api.problems import Problem
from service.postgres.accounts import Account, account_of

OPEN: Final = frozenset({"/live", "/ready"})
OPEN_BELOW: Final = "/a/"
"""Acknowledgement links: the link itself is the proof."""
OPEN_ON_LOOPBACK: Final = frozenset({"/metrics"})
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="pumpwatch"'}


class Gate:
    """Puts the account into the request's state, or raises a Problem before anything of the body is read."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_open(Request(scope)):
            scope.setdefault("state", {})["account"] = await self._account(Request(scope))
        await self._app(scope, receive, send)

    async def _account(self, request: Request) -> Account:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Problem(HTTPStatus.UNAUTHORIZED, "send a token: `Authorization: Bearer …`", headers=_CHALLENGE)
        async with self._context.pool.acquire(timeout=DATABASE_PATIENCE_S) as connection:
            account = await account_of(connection, token.strip())
        if account is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, "this token is not known, or was revoked", headers=_CHALLENGE)
        return account


def _is_open(request: Request) -> bool:
    path = request.url.path
    return path in OPEN or path.startswith(OPEN_BELOW) or (path in OPEN_ON_LOOPBACK and _from_loopback(request))


def _from_loopback(request: Request) -> bool:
    # What a proxy on this machine passes on came from elsewhere.
    if request.client is None or "forwarded" in request.headers or "x-forwarded-for" in request.headers:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
