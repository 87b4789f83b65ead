"""How does one notification get to one endpoint? One POST, under one deadline, and what came of it."""

import asyncio
import ssl
import time
from datetime import datetime
from http.client import responses
from types import TracebackType
from typing import Self

import httpcore
import httpx

from service.core.delivery import Attempt, Outcome, asked_wait_s, outcome_of
from service.core.webhook import BadSecretError, headers
from service.ports import Claimed
from service.webhooks.destination import Checked

_IDLE_CONNECTION_S = 30.0
_ANSWER_BYTES = 4096  # read so that the connection can be used again; nothing in an answer matters but its head
_ANSWER_S = 0.5


class _UnusableUrlError(Exception):
    """The text never quotes the URL."""


class HttpSender:
    """HTTP/1.1 with connections kept alive. No redirects, cookies, proxies from the environment, or decompression.

    Built on httpcore, the engine of httpx, since only there can a connection be held to the address that was checked.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, network: Checked | None = None) -> None:
        self._connections = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpcore.default_ssl_context(),
            max_connections=None,  # bounded by the loop, for each endpoint apart
            keepalive_expiry=_IDLE_CONNECTION_S,
            network_backend=network or Checked(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.aclose()

    async def post(self, claimed: Claimed, now: datetime, timeout_s: float) -> Attempt:
        begun_s = time.perf_counter()
        try:
            url = _usable(claimed.url)
            signed = headers(claimed.notification_id, now, claimed.body, claimed.secret.split())
        except (_UnusableUrlError, BadSecretError) as error:
            return Attempt(Outcome.UNREACHABLE, None, 0.0, f"not sent: {error}")
        sent = [*signed.items(), ("content-type", "application/json"), ("user-agent", "pumpwatch")]
        attempt = None
        try:
            async with (
                asyncio.timeout(timeout_s) as deadline,
                self._connections.stream("POST", url, headers=sent, content=claimed.body) as response,
            ):
                attempt = _answered(response, now, _ms_since(begun_s))
                # The status line has decided. What follows may be slow, endless or cut off without changing that.
                deadline.reschedule(asyncio.get_running_loop().time() + _ANSWER_S)
                await _read_some(response)
        # Whatever an endpoint provokes in a library must not end the worker that pages for all the others.
        except Exception as error:  # noqa: BLE001
            if attempt is None:
                attempt = _failed(error, timeout_s, _ms_since(begun_s))
        return attempt


def _usable(url: str) -> httpcore.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise _UnusableUrlError("the endpoint's URL is not one") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or not 0 < (parsed.port or 1) <= 65535:
        raise _UnusableUrlError("the endpoint's URL is not http:// or https://, a host and a port that can be")
    return httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)


async def _read_some(response: httpcore.Response) -> None:
    read = 0
    async for chunk in response.aiter_stream():
        read += len(chunk)
        if read > _ANSWER_BYTES:
            return


def _ms_since(begun_s: float) -> float:
    return (time.perf_counter() - begun_s) * 1000


def _answered(response: httpcore.Response, now: datetime, duration_ms: float) -> Attempt:
    retry_after = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
    asked_s = asked_wait_s(retry_after.decode("ascii", "replace"), now)
    return Attempt(outcome_of(response.status), response.status, duration_ms, _detail_of(response.status), asked_s)


def _failed(error: Exception, timeout_s: float, duration_ms: float) -> Attempt:
    """The texts of errors may quote the URL, which may hold a secret: only their kind is told."""
    tls = _tls_cause(error)
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        outcome, detail = Outcome.TIMED_OUT, f"no answer within {timeout_s:g} s"
    elif tls is not None:
        outcome, detail = Outcome.TLS_FAILED, tls.reason or type(tls).__name__
    else:
        outcome, detail = Outcome.UNREACHABLE, _kind_of(error)
    return Attempt(outcome, None, duration_ms, detail)


def _detail_of(status: int) -> str:
    if 200 <= status < 300:
        return ""
    phrase = responses.get(status, "unknown status")
    return f"{phrase}, not followed" if 300 <= status < 400 else phrase


def _tls_cause(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _kind_of(error: BaseException) -> str:
    """Say what went wrong in the words of the error's innermost type, e.g. "connection refused"."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    words = {
        "gaierror": "no such host",
        "UnicodeError": "no such host",
        "ConnectionRefusedError": "connection refused",
        "ConnectionResetError": "connection reset",
        "BrokenPipeError": "connection reset",
        "RemoteProtocolError": "closed without an answer, or not HTTP",
    }
    return words.get(type(error).__name__, type(error).__name__)
