"""Who may look at the board? Whoever is logged in; everybody else is shown where to log in.

An administrator's pages are for administrators alone.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.cookies import COOKIE, check_asked_by_us
from service.api.headers import HEADERS
from service.api.problems import Problem
from service.postgres.accounts import Account
from service.postgres.people import account_in_session
from service.web import admin_frame
from service.web.desk import ContextOf

OPEN: Final = frozenset({"/login", "/favicon.ico"})
OPEN_BELOW: Final = ("/static/", "/_nicegui/")
"""Nothing but files that are the same for everybody."""
# NiceGUI compiles its templates in the browser and writes its page's state into it; nothing is loaded from elsewhere.
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; media-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_LOGIN_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class Doorkeeper:
    """Puts the account into the request's state, leads to the login, or raises a Problem."""

    def __init__(self, app: ASGIApp, context_of: ContextOf) -> None:
        self._app, self._context_of = app, context_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path not in OPEN and not path.startswith(OPEN_BELOW):
            account = await self._account(HTTPConnection(scope))
            if account is None:
                await _shown_out(scope, receive, send)
                return
            if f"{path}/".startswith(f"{admin_frame.HOME}/"):
                admin_frame.checked(account)
            scope.setdefault("state", {})["account"] = account
        await self._app(scope, receive, send)

    async def _account(self, request: HTTPConnection) -> Account | None:
        session = request.cookies.get(COOKIE, "")
        if not session:
            return None
        try:
            if request.scope["type"] == "websocket":
                check_asked_by_us(request, session)
            return await self._of_session(request, session)
        except Problem:
            if request.scope["type"] != "websocket":
                raise
            return None

    async def _of_session(self, request: HTTPConnection, session: str) -> Account | None:
        context = self._context_of()
        paid = context.throttle.admit(session, request)
        async with context.database() as connection:
            found = await account_in_session(connection, session, context.clock())
        if found is None:
            context.throttle.forget(session)
            return None
        context.throttle.recognise(session, found[0], paid)
        return found[0]


async def _shown_out(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    wanted = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
    to = "/login" if wanted == "/" else f"/login?next={quote(wanted)}"
    await RedirectResponse(to, HTTPStatus.SEE_OTHER)(scope, receive, send)


class PageHeaders:
    """What a page of the board needs beyond what the API allows."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        policy = _LOGIN_POLICY if scope["path"] == "/login" else _POLICY
        added: Mapping[str, str] = {**HEADERS, "Content-Security-Policy": policy}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                more = [(n.lower().encode(), v.encode()) for n, v in added.items() if n.lower().encode() not in there]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
