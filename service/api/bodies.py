"""Which bodies are taken at all? JSON of at most 1 MB, read whole before a route sees the request."""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import Problem

MAX_BODY_BYTES: Final = 1_000_000
_TOO_LARGE: Final = f"the body is larger than {MAX_BODY_BYTES:,} bytes"


class Bodies:
    """Raises a Problem for a body that is too large (413) or of another type than JSON (415)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        messages = await _whole(receive)
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if any(message.get("body") for message in messages) and media_type != "application/json":
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"the body must be application/json, not {media_type or 'of no named type'}",
                headers={"Accept": "application/json"},
            )

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, again, send)


async def _whole(receive: Receive) -> list[Message]:
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        if message["type"] != "http.request" or not message.get("more_body"):
            return messages
