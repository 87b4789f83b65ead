"""How does one notification get to one endpoint? One POST, under one deadline, and what came of it."""

import asyncio
import ssl
import time
from contextlib import suppress
from datetime import datetime
from http.client import responses
from types import TracebackType
from typing import Self

import httpcore

from service.core.delivery import Attempt, Outcome, asked_wait_s, outcome_of
from service.core.webhook import BadSecretError, headers
from service.ports import Claimed
from service.webhooks.destination import Checked

_IDLE_CONNECTION_S = 30.0
_ANSWER_BYTES = 4096  # read so that the connection can be used again; nothing in an answer matters but its head
_ANSWER_S = 0.5


class HttpSender:
    """HTTP/1.1 with connections kept alive. No redirects, cookies, proxies from the environment, or decompression.

    Built on httpcore, the engine of httpx, since only there can a connection be held to the address that was checked.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._connections = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpcore.default_ssl_context(),
            max_connections=None,  # bounded by the loop, for each endpoint apart
            keepalive_expiry=_IDLE_CONNECTION_S,
            network_backend=Checked(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.aclose()

    async def post(self, claimed: Claimed, now: datetime, timeout_s: float) -> Attempt:
        begun_s = time.perf_counter()

        def came_to(outcome: Outcome, detail: str) -> Attempt:
            return Attempt(outcome, None, _ms_since(begun_s), detail)

        try:
            signed = headers(claimed.notification_id, now, claimed.body, claimed.secret.split())
        except BadSecretError as error:
            return came_to(Outcome.UNREACHABLE, f"not sent: {error}")
        sent = [*signed.items(), ("content-type", "application/json"), ("user-agent", "pumpwatch")]
        try:
            async with asyncio.timeout(timeout_s) as deadline:
                return await self._exchange(claimed, sent, now=now, begun_s=begun_s, deadline=deadline)
        except (TimeoutError, httpcore.TimeoutException):
            return came_to(Outcome.TIMED_OUT, f"no answer within {timeout_s:g} s")
        # Texts of these errors may quote the URL, which may hold a secret: say only their kind.
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as error:
            cause = _tls_cause(error)
            if cause is not None:
                return came_to(Outcome.TLS_FAILED, cause.reason or type(cause).__name__)
            return came_to(Outcome.UNREACHABLE, _kind_of(error))
        except ValueError as error:  # not a URL, or a host name that cannot be one
            return came_to(Outcome.UNREACHABLE, f"the URL cannot be used: {type(error).__name__}")

    async def _exchange(
        self,
        claimed: Claimed,
        sent: list[tuple[str, str]],
        *,
        now: datetime,
        begun_s: float,
        deadline: asyncio.Timeout,
    ) -> Attempt:
        async with self._connections.stream("POST", claimed.url, headers=sent, content=claimed.body) as response:
            duration_ms = _ms_since(begun_s)
            # The status line decides. What follows may be slow, endless or cut off without changing that.
            deadline.reschedule(None)
            with suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError, OSError):
                async with asyncio.timeout(_ANSWER_S):
                    await _read_some(response)
        retry_after = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
        return Attempt(
            outcome_of(response.status),
            response.status,
            duration_ms,
            _detail_of(response.status),
            asked_wait_s(retry_after.decode("ascii", "replace"), now),
        )


async def _read_some(response: httpcore.Response) -> None:
    read = 0
    async for chunk in response.aiter_stream():
        read += len(chunk)
        if read > _ANSWER_BYTES:
            return


def _ms_since(begun_s: float) -> float:
    return (time.perf_counter() - begun_s) * 1000


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
        "ConnectionRefusedError": "connection refused",
        "ConnectionResetError": "connection reset",
        "BrokenPipeError": "connection reset",
        "RemoteProtocolError": "closed without an answer, or not HTTP",
        "UnsupportedProtocol": "the URL is neither http nor https",
    }
    return words.get(type(error).__name__, type(error).__name__)
