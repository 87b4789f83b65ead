"""How do the API and the board share one address? By path: what is the API's goes there, all else is the board's."""

import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles
from nicegui import app, ui
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.observe import Observe
from service.api.refusals import Refusals, install, is_for_people
from service.metrics import Metrics
from service.web import (
    account_page,
    admin_deliveries,
    admin_endpoints,
    admin_frame,
    admin_on_call,
    admin_overrides,
    admin_people,
    admin_policies,
    admin_quarantine,
    admin_registry,
    admin_tokens,
    alert_page,
    alerts_page,
    desk,
    fleet_page,
    history_page,
    pipeline_page,
    pump_page,
)
from service.web.doorkeeper import Doorkeeper, PageHeaders
from service.web.login_page import PAGE

_LINKS_BELOW: Final = ("/a/", "/login/")
"""Pages too, which the API shows."""
ADMIN: Final = (
    *(admin_frame, admin_endpoints, admin_deliveries, admin_people, admin_tokens),
    *(admin_on_call, admin_policies, admin_registry, admin_overrides, admin_quarantine),
)
PAGES: Final = (alerts_page, alert_page, history_page, fleet_page, pump_page, pipeline_page, account_page, *ADMIN)


def with_board(api: FastAPI, metrics: Metrics) -> ASGIApp:
    """The API and the board as one app. Once a process: NiceGUI has one app of its own."""
    context_of = desk.ContextOf(api)
    desk.put(context_of, api.state.live)
    shell = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    shell.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")))
    shell.add_api_route("/login", _login, methods=["GET"])
    ui.dialog.default_props("transition-duration=0")  # what fades in can be pressed before it can be read
    for page in PAGES:
        page.add()
    ui.run_with(
        shell,
        title="pumpwatch",
        dark=None,
        language="en-US",
        favicon="💧",
        tailwind=False,
        reconnect_timeout=10,
        show_welcome_message=False,
        gzip_middleware_factory=None,
        storage_secret=hashlib.sha256(context_of().settings.database_url.encode() + b"board").hexdigest(),
        session_middleware_kwargs={"same_site": "strict"},
    )
    _refuse_as_everywhere(shell)
    board = PageHeaders(Observe(Refusals(Doorkeeper(shell, context_of)), metrics))

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await shell(scope, receive, send)
        elif scope["path"].startswith(_LINKS_BELOW) or not is_for_people(scope["path"]):
            await api(scope, receive, send)
        else:
            await board(scope, receive, send)

    return both


def _refuse_as_everywhere(shell: FastAPI) -> None:
    """NiceGUI would show the words of an exception, on a page that needs its scripts."""
    app.exception_handlers.pop(HTTPStatus.NOT_FOUND, None)
    app.add_middleware(Refusals)
    for each in (shell, app):
        install(each)


async def _login() -> Response:
    return Response(PAGE, media_type="text/html; charset=utf-8", headers={"Cache-Control": "no-store"})
