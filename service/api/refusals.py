"""In which form is it told that a request cannot be answered? A program gets a problem, a person a page.

The path decides, and nothing else: a person opens pages and follows links, a program asks for what is below /api/.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.link_page import HEADERS, Way, page
from service.api.observe import route_of
from service.api.problems import Problem, problem_of
from service.logs import tell

PROGRAMS: Final = frozenset({"/live", "/ready", "/metrics"})
PROGRAMS_BELOW: Final = ("/api/", "/hooks/")
_COME_AGAIN: Final = 1013
"""To a websocket: later."""
_READS: Final = frozenset({"GET", "HEAD"})
TRIES_AGAIN_S: Final = 5
"""How soon a page that could not be shown asks for itself again."""


class _Words(NamedTuple):
    title: str
    text: str
    way: Way


_AGAIN: Final = Way("Try again", "")
_ALERTS: Final = Way("Go to the open alerts", "/")
_WORDS: Final[Mapping[HTTPStatus, _Words]] = {
    HTTPStatus.UNAUTHORIZED: _Words("Please log in", "This is for people who are logged in.", Way("Log in", "/login")),
    HTTPStatus.FORBIDDEN: _Words(
        "This is not for your account",
        "An administrator can change what your account may see.",
        _ALERTS,
    ),
    HTTPStatus.NOT_FOUND: _Words(
        "There is no such page",
        "Its address may have been cut off when it was copied, or what it led to is no longer there.",
        _ALERTS,
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: _Words(
        "This cannot be done here", "The page is there to be read; nothing was changed.", _AGAIN
    ),
    HTTPStatus.GONE: _Words("This is over", "What was here is no longer there.", _ALERTS),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _Words(
        "That is too much at once", "More was sent than is taken; nothing was changed.", _AGAIN
    ),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: _Words(
        "This was not understood", "What was sent is in a form that is not taken; nothing was changed.", _AGAIN
    ),
    HTTPStatus.UNPROCESSABLE_ENTITY: _Words(
        "This address is not right",
        "It may have been cut off when it was copied, or changed. Go to what you looked for from the start.",
        _ALERTS,
    ),
    HTTPStatus.TOO_MANY_REQUESTS: _Words(
        "Too many requests", "More was asked than is answered at once. Wait a little, then try again.", _AGAIN
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: _Words(
        "Something went wrong in pumpwatch",
        "It is a fault of ours, and it has been recorded. Try again; if it comes again, tell whoever runs pumpwatch.",
        _AGAIN,
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: _Words(
        "pumpwatch cannot answer at the moment",
        "Until it can, alerts are neither shown nor answered here, and word of a new one may come late: look after "
        "your patients as you would without it. What the pumps measure meanwhile is not lost.",
        _AGAIN,
    ),
}
_OTHERWISE: Final = _Words("This could not be done", "The request could not be answered as it was made.", _ALERTS)
_SAYS_ENOUGH: Final = frozenset(
    {
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
"""Of these a problem's own words tell a person nothing more."""


def is_for_people(path: str) -> bool:
    return path not in PROGRAMS and not path.startswith(PROGRAMS_BELOW)


def refusal(path: str, method: str, problem: Problem) -> Response:
    return _page(method, problem) if is_for_people(path) else problem.response()


def _page(method: str, problem: Problem) -> Response:
    title, text, way = _WORDS.get(problem.status, _OTHERWISE)
    paragraphs, headers = [text], {**HEADERS, **(problem.headers or {})}
    if problem.status is HTTPStatus.SERVICE_UNAVAILABLE and method not in _READS:
        paragraphs.append("What you pressed may not have been recorded. Look again, and press again if it was not.")
    elif problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
        paragraphs.append(f"This page tries again by itself every {TRIES_AGAIN_S} seconds.")
        headers["Refresh"] = str(TRIES_AGAIN_S)  # a header, since it asks for no script and no mark-up
    said = "" if problem.status in _SAYS_ENOUGH else f"{problem.detail[:1].upper()}{problem.detail[1:]}."
    return Response(page(title, paragraphs, way=way, detail=said), problem.status, headers, "text/html; charset=utf-8")


class Refusals:
    """A layer: answers in the place of what is within it when that ended in an exception."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        has_begun = is_whole = False

        async def noted(message: Message) -> None:
            nonlocal has_begun, is_whole
            has_begun = True
            is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            problem = problem_of(error)
            _log(problem, error, scope)
            if is_whole:
                return  # only what was lent for it could not be given back
            if has_begun:
                raise  # half an answer has gone out: only closing the connection says that it is not whole
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": _COME_AGAIN})
            else:
                await refusal(scope["path"], scope["method"], problem)(scope, receive, send)


def _log(problem: Problem, error: Exception, scope: Scope) -> None:
    if problem.status is HTTPStatus.INTERNAL_SERVER_ERROR:
        where = {"method": scope.get("method", "websocket"), "route": route_of(scope)}
        logging.getLogger("pumpwatch").error("request_failed", exc_info=error, extra={"fields": where})
    elif problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
        tell("request_refused", logging.WARNING, route=route_of(scope), reason=problem.detail)


def install(app: FastAPI) -> None:
    """Let refusals answer also where FastAPI would answer in a form of its own."""
    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)


def _answer(request: Request, error: Exception) -> Response:
    return refusal(request.scope["path"], request.method, problem_of(error))
