"""How does one notification get to one endpoint? One POST, under one deadline, and what came of it."""

import asyncio
import ssl
import sys
import time
from dataclasses import replace
from datetime import datetime
from http.client import responses
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import httpcore
import httpx

from service.carriage import Claimed
from service.core.delivery import Attempt, Outcome, asked_wait_s, outcome_of
from service.core.webhook import BadSecretError, headers
from service.webhooks.destination import BlockedError, Checked

# httpcore looks for it six times a request, and the search of every folder for what is not there took a quarter of it.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

_IDLE_CONNECTION_S = 30.0
_ANSWER_BYTES = 4096  # read so that the connection can be used again; nothing in an answer decides but its head
_KEPT_BYTES = 2048  # of it, so that somebody can see what an endpoint has against us
_ANSWER_S = 0.5
_POOLS_KEPT = 100  # of those without a connection


class _UnusableUrlError(Exception):
    """The text never quotes the URL."""


def trusted(further: Path | None) -> ssl.SSLContext:
    """The usual certificate authorities, and those of a file."""
    context = httpcore.default_ssl_context()
    if further is not None:
        context.load_verify_locations(further)
    return context


def pinned(certificate: Path) -> ssl.SSLContext:
    """That certificate and no other, whatever name it is for and whoever has signed it."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class HttpSender:
    """HTTP/1.1 with connections kept alive. No redirects, cookies, proxies from the environment, or decompression.

    Built on httpcore, the engine of httpx, since only there can a connection be held to the address that was checked.
    Without a `network` of its own nothing is sent to addresses that are not public.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, network: Checked | None = None) -> None:
        self._tls = tls or httpcore.default_ssl_context()
        self._network = network or Checked()
        # One for each origin: httpcore goes over all connections of a pool, squared, for every request.
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    async def post(self, claimed: Claimed, now: datetime, timeout_s: float) -> Attempt:
        begun_s = time.perf_counter()
        try:
            url = _usable(claimed.url)
            signed = headers(claimed.notification_id, now, claimed.body, claimed.secrets)
        except (_UnusableUrlError, BadSecretError) as error:
            return Attempt(Outcome.NOT_SENT, None, 0.0, f"{error}")
        sent = signed | {"content-type": "application/json", "user-agent": "pumpwatch"}
        attempt = await self._exchange(url, sent, claimed.body, now, timeout_s, begun_s)
        return replace(attempt, headers={name: text for name, text in sent.items() if name != "webhook-signature"})

    def _pool(self, url: httpcore.URL) -> httpcore.AsyncConnectionPool:
        origin = str(url.origin)
        pool = self._pools.get(origin)
        if pool is None:
            for unused in [name for name, each in self._pools.items() if not each.connections][:-_POOLS_KEPT]:
                del self._pools[unused]
            pool = self._pools[origin] = httpcore.AsyncConnectionPool(
                ssl_context=self._tls,
                max_connections=None,  # bounded by the outbox, for each endpoint apart
                keepalive_expiry=_IDLE_CONNECTION_S,
                network_backend=self._network,
            )
        return pool

    async def _exchange(
        self, url: httpcore.URL, sent: dict[str, str], body: bytes, now: datetime, timeout_s: float, begun_s: float
    ) -> Attempt:
        attempt, answer = None, bytearray()
        try:
            async with (
                asyncio.timeout(timeout_s) as deadline,
                self._pool(url).stream("POST", url, headers=list(sent.items()), content=body) as response,
            ):
                attempt = _answered(response, now, _ms_since(begun_s))
                # The status line has decided. What follows may be slow, endless or cut off without changing that.
                deadline.reschedule(asyncio.get_running_loop().time() + _ANSWER_S)
                await _read_some(response, answer)
        # Whatever an endpoint provokes in a library must not end the worker that pages for all the others.
        except Exception as error:  # noqa: BLE001
            if attempt is None:
                attempt = _failed(error, timeout_s, _ms_since(begun_s))
        return replace(attempt, answer=answer[:_KEPT_BYTES].decode("utf-8", "replace"))


def _usable(url: str) -> httpcore.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise _UnusableUrlError("the endpoint's URL is not one") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or not 0 < (parsed.port or 1) <= 65535:
        raise _UnusableUrlError("the endpoint's URL is not http:// or https://, a host and a port that can be")
    return httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)


async def _read_some(response: httpcore.Response, into: bytearray) -> None:
    async for chunk in response.aiter_stream():
        into += chunk[: _ANSWER_BYTES + 1 - len(into)]
        if len(into) > _ANSWER_BYTES:
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
    elif isinstance(error, BlockedError):
        outcome, detail = Outcome.BLOCKED, str(error)
    elif tls is not None:
        outcome, detail = Outcome.TLS_ERROR, tls.reason or type(tls).__name__
    else:
        outcome, detail = _network_failure(error)
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


_RESET = (Outcome.CONNECTION_RESET, "connection reset")
_NETWORK_FAILURES = {
    "gaierror": (Outcome.DNS_ERROR, "no such host"),
    "UnicodeError": (Outcome.DNS_ERROR, "no such host"),
    "ConnectionRefusedError": (Outcome.CONNECTION_REFUSED, "connection refused"),
    "ConnectionResetError": _RESET,
    "BrokenPipeError": _RESET,
    "BrokenResourceError": _RESET,
    "EndOfStream": _RESET,
    "RemoteProtocolError": (Outcome.CONNECTION_RESET, "closed without an answer, or not HTTP"),
}


def _network_failure(error: BaseException) -> tuple[Outcome, str]:
    """By the error's innermost type, in words."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    name = type(error).__name__
    return _NETWORK_FAILURES.get(name, (Outcome.UNREACHABLE, name))
