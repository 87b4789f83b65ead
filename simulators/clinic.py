"""What does a clinic do with a webhook? Verifies it, writes it down, acts once, and fails when told to."""

import asyncio
import base64
import contextlib
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
import uvicorn
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

NO_CONTENT: Final = 204
BAD_REQUEST: Final = 400
UNAUTHORISED: Final = 401
MAX_BODY_BYTES: Final = 1 << 20
GOODBYE_S: Final = 1  # what a delayed answer may still take when the clinic closes


class Behaviour(msgspec.Struct, forbid_unknown_fields=True):
    """How the clinic answers. `status` is what a failure answers; a delay comes before any answer."""

    fail_rate: float = 0.0
    status: int = 503
    delay_s: float = 0.0
    retry_after_s: float | None = None

    def problem(self) -> str:
        if not 0 <= self.fail_rate <= 1:
            return "fail_rate: must be from 0 to 1"
        if not 100 < self.status <= 599:
            return "status: must be from 200 to 599"
        if not 0 <= self.delay_s <= 600:
            return "delay_s: must be from 0 to 600"
        return ""


class Received(msgspec.Struct):
    """One request, whatever became of it."""

    received_ms: int
    webhook_id: str
    webhook_timestamp: str
    verified: bool
    problem: str
    status: int
    first: bool  # the clinic acted on it: the first verified one with its id that it did not refuse
    body: Any


class Clinic:
    """The endpoint. An effect happens once for each `webhook-id`, however often it is sent."""

    def __init__(self, secrets: Sequence[str], behaviour: Behaviour, *, record: TextIO | None, seed: int = 0) -> None:
        self.behaviour = behaviour
        self.requests: list[Received] = []
        self.acted_on: set[str] = set()
        self._webhooks = [Webhook(secret) for secret in secrets]
        self._record = record
        self._random = random.Random(seed)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/hook", self.hook, methods=["POST"]),
                Route("/hook/{name}", self.hook, methods=["POST"]),
                Route("/received", self.received, methods=["GET"]),
                Route("/behaviour", self.behave, methods=["GET", "PUT"]),
            ]
        )

    async def hook(self, request: Request) -> Response:
        body = await request.body()
        problem = self._problem(body, dict(request.headers))
        webhook_id = request.headers.get("webhook-id", "")
        behaviour = self.behaviour
        fails = self._random.random() < behaviour.fail_rate
        status = UNAUTHORISED if problem else behaviour.status if fails else NO_CONTENT
        first = not problem and not fails and webhook_id not in self.acted_on
        if first:
            self.acted_on.add(webhook_id)
        self._write(
            Received(
                received_ms=time.time_ns() // 1_000_000,
                webhook_id=webhook_id,
                webhook_timestamp=request.headers.get("webhook-timestamp", ""),
                verified=not problem,
                problem=problem,
                status=status,
                first=first,
                body=_parsed(body),
            )
        )
        # The clinic has acted before it answers: who gives up waiting and sends again must not make it act twice.
        if behaviour.delay_s:
            await asyncio.sleep(behaviour.delay_s)
        headers = {"retry-after": f"{behaviour.retry_after_s:g}"} if fails and behaviour.retry_after_s else None
        return Response(status_code=status, headers=headers)

    async def received(self, _request: Request) -> Response:
        return _json({"effects": len(self.acted_on), "requests": self.requests})

    async def behave(self, request: Request) -> Response:
        if request.method == "PUT":
            try:
                wanted = msgspec.json.decode(await request.body(), type=Behaviour)
            except msgspec.MsgspecError as error:
                return _json({"problem": str(error)}, BAD_REQUEST)
            if problem := wanted.problem():
                return _json({"problem": problem}, BAD_REQUEST)
            self.behaviour = wanted
        return _json(self.behaviour)

    def _problem(self, body: bytes, headers: dict[str, str]) -> str:
        """Why the request is not believed; empty: it is signed with one of the secrets."""
        if len(body) > MAX_BODY_BYTES:
            return "body too large"
        problem = "no secret"
        for webhook in self._webhooks:
            try:
                webhook.verify(body, headers, json_parse=False)
            except WebhookVerificationError as error:
                problem = str(error)
            except ValueError as error:  # a header that is no base64, or has no comma; a body that is no UTF-8
                problem = f"malformed: {error}"
            else:
                return ""
        return problem

    def _write(self, received: Received) -> None:
        self.requests.append(received)
        if self._record is not None:
            self._record.write(msgspec.json.encode(received).decode() + "\n")
            self._record.flush()


def check_secret(secret: str) -> str:
    """Return what is wrong with a secret; empty: nothing. The library itself takes what is no base64 for less of it."""
    try:
        text = secret.removeprefix("whsec_")
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    return "" if key else "not a secret: whsec_ and then base64"


async def serve(clinic: Clinic, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; raises OSError when the port cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    with contextlib.closing(listener):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        shown = f"[{host}]" if ":" in host else host
        say(f"clinic listens on http://{shown}:{listener.getsockname()[1]}/hook")
        server = uvicorn.Server(
            uvicorn.Config(
                clinic.app(), log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=GOODBYE_S
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving


@contextlib.asynccontextmanager
async def recording(path: Path | None) -> AsyncIterator[TextIO | None]:
    if path is None:
        yield None
        return
    with path.open("a", encoding="utf-8") as file:
        yield file


def _parsed(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return body[:1000].decode(errors="replace")


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")
