"""How does a browser say whose session it is, and how do we know that a page of ours asks? Cookie and CSRF token."""

import base64
import hashlib
import hmac
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from service.api.problems import Problem
from service.core.access import SAFE_METHODS
from service.settings import Settings

COOKIE: Final = "pumpwatch_session"
CSRF_HEADER: Final = "x-csrf-token"


def csrf_token(session: str) -> str:
    """What a page must send with each write; whoever cannot read the session cannot make it."""
    made = hmac.digest(session.encode(), b"pumpwatch csrf", hashlib.sha256)
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def check_asked_by_us(request: HTTPConnection, session: str) -> None:
    """Raise Problem (403) for a write, or a websocket, by session that no page of ours has asked for."""
    socket = request.scope["type"] == "websocket"
    if not socket and request.scope["method"] in SAFE_METHODS:
        return
    origin = request.headers.get("origin")
    if (origin or socket) and urlsplit(origin or "").netloc != request.headers.get("host"):
        raise Problem(HTTPStatus.FORBIDDEN, "this request comes from another site")
    if socket:
        return  # a script cannot set its headers; where it comes from is enough
    given = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), csrf_token(session).encode()):
        raise Problem(HTTPStatus.FORBIDDEN, f"send the header {CSRF_HEADER}, as GET /api/v1/session has it")


def remember(response: Response, settings: Settings, session: str, for_s: int) -> None:
    """No script reads it; no page of others sends it with a write."""
    response.set_cookie(
        COOKIE,
        session,
        max_age=for_s,
        httponly=True,
        samesite="lax",
        secure=settings.public_url.startswith("https://") or settings.api_cert_file is not None,
    )


def forget(response: Response) -> None:
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")
