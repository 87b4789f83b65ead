"""Who may come in? Everything but health needs a token or a session; what nobody thought of needs one too."""

from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

import asyncpg
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.context import Context
from service.api.cookies import COOKIE, check_asked_by_us
from service.api.narrowed import check_site
from service.api.problems import Problem
from service.api.throttle import Throttle
from service.core.access import scope_of
from service.postgres.accounts import Account, account_of
from service.postgres.people import account_in_session

HEALTH: Final = frozenset({("GET", "/live"), ("GET", "/ready")})
CANARY: Final = ("POST", "/hooks/canary")
OPEN: Final = frozenset({*HEALTH, CANARY, ("POST", "/api/v1/session")})
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
        if scope["type"] != "lifespan":
            try:
                await self._let_in(scope, HTTPConnection(scope))
            except Problem:
                if scope["type"] != "websocket":
                    raise
                await send({"type": "websocket.close", "code": 1008})
                return
        await self._app(scope, receive, send)

    async def _let_in(self, scope: Scope, request: HTTPConnection) -> None:
        what, throttle = _what(scope), self._context.throttle
        if not _is_open(what, request):
            scope.setdefault("state", {})["account"] = await self._account(request, throttle)
        elif what == CANARY:
            throttle.of_stranger(throttle.address_of(request), "canary")  # who floods something else cannot hide it
        elif what not in HEALTH and what[1] not in OPEN_ON_LOOPBACK:
            throttle.of_stranger(throttle.address_of(request))

    async def _account(self, request: HTTPConnection, throttle: Throttle) -> Account:
        given, session = request.headers.get("authorization"), request.cookies.get(COOKIE)
        by_token = given is not None or not session
        held = _token_in(given or "") if by_token else session or ""
        paid = throttle.admit(held, request)
        if not held:
            raise _refusal("send a token: `Authorization: Bearer …`, or log in")
        async with self._context.database() as connection:
            find = self._of_token if by_token else self._of_session
            account = await find(connection, held)
            if account is None:
                throttle.forget(held)
                raise _refusal(
                    "this token is not known, or was revoked, or is too old"
                    if by_token
                    else "this session is over: log in again"
                )
            throttle.recognise(held, account, paid)
            if not by_token:
                check_asked_by_us(request, held)
            await check_site(connection, account, request.url.path)
        needed = scope_of(request.scope.get("method", "GET"), request.url.path)
        if account.scopes is not None and needed not in account.scopes:
            raise Problem(HTTPStatus.FORBIDDEN, f"this token is not for that: it would need the scope {needed}")
        return account

    async def _of_token(self, connection: asyncpg.Connection, token: str) -> Account | None:
        return await account_of(connection, token, self._context.clock())

    async def _of_session(self, connection: asyncpg.Connection, session: str) -> Account | None:
        found = await account_in_session(connection, session, self._context.clock())
        return None if found is None else found[0]


def _token_in(authorization: str) -> str:
    """The token itself; empty: there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _refusal(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers=_CHALLENGE)


def _what(scope: Scope) -> tuple[str, str]:
    """Method and path."""
    method = scope.get("method", "GET")
    return "GET" if method == "HEAD" else method, scope["path"]


def _is_open(what: tuple[str, str], request: HTTPConnection) -> bool:
    path = what[1]
    return what in OPEN or path.startswith(OPEN_BELOW) or (path in OPEN_ON_LOOPBACK and _from_loopback(request))


def _from_loopback(request: HTTPConnection) -> bool:
    # What a proxy on this machine passes on came from elsewhere.
    if request.client is None or "forwarded" in request.headers or "x-forwarded-for" in request.headers:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
