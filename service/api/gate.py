"""Who may come in? Everything but health needs a token or a session; what nobody thought of needs one too."""

from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

import asyncpg
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.context import DATABASE_PATIENCE_S, Context
from service.api.cookies import COOKIE, check_asked_by_us
from service.api.narrowed import check_site
from service.api.problems import Problem
from service.core.access import scope_of
from service.postgres.accounts import Account, account_of
from service.postgres.people import account_in_session

OPEN: Final = frozenset({("GET", "/live"), ("GET", "/ready"), ("POST", "/api/v1/session"), ("POST", "/hooks/canary")})
OPEN_BELOW: Final = ("/a/", "/login/")
"""Links that acknowledge and links that log in: the link itself is the proof."""
OPEN_ON_LOOPBACK: Final = frozenset({"/metrics"})
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="pumpwatch"'}


class Gate:
    """Puts the account into the request's state, or raises a Problem before anything of the body is read."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and not _is_open(scope):
            try:
                scope.setdefault("state", {})["account"] = await self._account(HTTPConnection(scope))
            except Problem:
                if scope["type"] != "websocket":
                    raise
                await send({"type": "websocket.close", "code": 1008})
                return
        await self._app(scope, receive, send)

    async def _account(self, request: HTTPConnection) -> Account:
        given, session = request.headers.get("authorization"), request.cookies.get(COOKIE)
        async with self._context.pool.acquire(timeout=DATABASE_PATIENCE_S) as connection:
            if given is not None or not session:
                account = await self._of_token(connection, given or "")
            else:
                found = await account_in_session(connection, session, self._context.clock())
                if found is None:
                    raise _refusal("this session is over: log in again")
                account, _ = found
                check_asked_by_us(request, session)
            await check_site(connection, account, request.url.path)
        needed = scope_of(request.scope.get("method", "GET"), request.url.path)
        if account.scopes is not None and needed not in account.scopes:
            raise Problem(HTTPStatus.FORBIDDEN, f"this token is not for that: it would need the scope {needed}")
        return account

    async def _of_token(self, connection: asyncpg.Connection, given: str) -> Account:
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _refusal("send a token: `Authorization: Bearer …`, or log in")
        account = await account_of(connection, token.strip(), self._context.clock())
        if account is None:
            raise _refusal("this token is not known, or was revoked, or is too old")
        return account


def _refusal(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers=_CHALLENGE)


def _is_open(scope: Scope) -> bool:
    path: str = scope["path"]
    method = "GET" if scope.get("method") == "HEAD" else scope.get("method")
    return (
        (method, path) in OPEN
        or path.startswith(OPEN_BELOW)
        or (path in OPEN_ON_LOOPBACK and _from_loopback(HTTPConnection(scope)))
    )


def _from_loopback(request: HTTPConnection) -> bool:
    # What a proxy on this machine passes on came from elsewhere.
    if request.client is None or "forwarded" in request.headers or "x-forwarded-for" in request.headers:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
