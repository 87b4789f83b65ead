"""Is a POST that is sent twice done twice? Not with an `Idempotency-Key`: the second is answered as the first was."""

import hashlib
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.context import Context
from service.api.problems import FieldError, Problem
from service.postgres import idempotency

HEADER: Final = "Idempotency-Key"
MOST_CHARACTERS: Final = 200
_KEPT_HEADERS: Final = ("content-type", "etag", "location")
_PARAMETER: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS, "pattern": r"^[\x21-\x7e]+$"},
    "description": "Chosen by the caller, new for each intent: within a day the same request with the same key is "
    "answered as the first was, with `Idempotency-Replayed: true`, and done once. 409: the first is still under way, "
    "or its answer held a secret; 422: the key came with another request.",
    "example": "5f0c2b9e-7e0a-4f43-9a53-0c1b7b1f6c1d",
}


class Once:
    """Around the routes, within gate and bodies: it needs to know who asks, and the body whole."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._context = app, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        account = scope.get("state", {}).get("account")
        key = Headers(scope=scope).get(HEADER) if scope["type"] == "http" and scope["method"] == "POST" else None
        if key is None or account is None:
            await self._app(scope, receive, send)
            return
        if not 0 < len(key) <= MOST_CHARACTERS or not all("\x21" <= letter <= "\x7e" for letter in key):
            raise _wrong(f"must be 1 to {MOST_CHARACTERS} visible ASCII characters")
        messages, request = await _asked(scope, receive)
        whose = f"{account.name}/{account.id}"
        async with self._context.database() as connection:
            known = await idempotency.begin(connection, whose, key, request, self._context.clock())
        if known is not None:
            await _again(known, request)(scope, receive, send)
            return

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        answer = _Answer()
        try:
            await self._app(scope, again, answer.take)
        finally:
            # Before the caller hears of it, or its next request would find this one under way.
            await self._keep(answer, whose, key)
        for message in answer.messages:
            await send(message)

    async def _keep(self, answer: "_Answer", whose: str, key: str) -> None:
        async with self._context.database() as connection:
            if 0 < answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                body = answer.body if answer.may_be_kept else None
                await idempotency.answered(connection, whose, key, answer.status, answer.headers, body)
            else:
                await idempotency.release(connection, whose, key)


class _Answer:
    """What the route answers, whole: none of a POST is long."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.status, self.body, self.may_be_kept = 0, b"", True
        self.headers: dict[str, str] = {}

    async def take(self, message: Message) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = Headers(raw=message["headers"])
            self.headers = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
            self.may_be_kept = "no-store" not in headers.get("cache-control", "")
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


async def _asked(scope: Scope, receive: Receive) -> tuple[list[Message], bytes]:
    """The body's messages, and a hash of what was asked."""
    digest = hashlib.sha256(b"\0".join((scope["method"].encode(), scope["path"].encode(), scope["query_string"], b"")))
    messages: list[Message] = []
    while True:
        message = await receive()
        messages.append(message)
        digest.update(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return messages, digest.digest()


def _again(known: idempotency.Known, request: bytes) -> Response:
    if known.request != request:
        raise _wrong("came with another request before: choose a new one for each intent")
    if known.status is None:
        raise Problem(HTTPStatus.CONFLICT, f"the request that came first with this {HEADER} is under way")
    if known.body is None:
        raise Problem(HTTPStatus.CONFLICT, "this was done; its answer was shown once and is not kept")
    replayed = {**known.headers, "Idempotency-Replayed": "true"}
    return Response(known.body, known.status, headers=replayed)


def _wrong(detail: str) -> Problem:
    error = FieldError(place="header", field=HEADER, detail=detail)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{HEADER}: {detail}", [error])


def describe(operation: dict[str, Any], answers: dict[int | str, Any]) -> None:
    """Say in the document of a POST that it takes the key. `answers`: those that come of it."""
    operation.setdefault("parameters", []).append(_PARAMETER)
    for status, answer in answers.items():
        operation["responses"].setdefault(str(status), answer)
