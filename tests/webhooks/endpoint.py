"""A real webhook endpoint on the loopback: verifies with the reference library, records, and fails on purpose."""

import asyncio
import base64
import json
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True)
class Request:
    id: str
    timestamp: int
    verified: bool
    body: dict[str, Any]
    path: str
    host: str


Conduct = Callable[[Request, asyncio.StreamWriter], Awaitable[bool]]
"""What the endpoint does with a request; True keeps the connection."""


def answers(status: int = 200, body: bytes = b"", **headers: str) -> Conduct:
    async def conduct(_: Request, writer: asyncio.StreamWriter) -> bool:
        _write_head(writer, status, len(body), headers)
        writer.write(body)
        await writer.drain()
        return True

    return conduct


def answers_when(go: asyncio.Event, status: int = 200) -> Conduct:
    """Wait for `go`, then answer."""

    async def conduct(request: Request, writer: asyncio.StreamWriter) -> bool:
        await go.wait()
        return await answers(status)(request, writer)

    return conduct


async def never_answers(_: Request, __: asyncio.StreamWriter) -> bool:
    await asyncio.Event().wait()
    return False


async def resets(_: Request, writer: asyncio.StreamWriter) -> bool:
    """Drop the connection with an RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


async def closes(_: Request, __: asyncio.StreamWriter) -> bool:
    return False


async def speaks_no_http(_: Request, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"220 mail.example ESMTP\r\n")
    return False


async def breaks_off_in_the_head(_: Request, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    return False


async def breaks_off_in_the_body(_: Request, writer: asyncio.StreamWriter) -> bool:
    _write_head(writer, 200, 1000, {})
    writer.write(b"half")
    return False


async def never_begins_its_body(_: Request, writer: asyncio.StreamWriter) -> bool:
    _write_head(writer, 200, 1000, {})
    await asyncio.Event().wait()
    return False


async def never_ends_its_body(_: Request, writer: asyncio.StreamWriter) -> bool:
    _write_head(writer, 200, 1 << 40, {})
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def never_ends_its_head(_: Request, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x-more: x\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


def _write_head(writer: asyncio.StreamWriter, status: int, length: int, headers: dict[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())


class Endpoint:
    """Answers 204 unless told otherwise: by `conducts`, one a request in turn, or by `conduct_of` for any request."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
        self.requests: list[Request] = []
        self.answered: list[Request] = []
        self.connections = 0
        self.most_at_once = 0
        self.conducts: deque[Conduct] = deque()
        self.conduct_of: Callable[[Request], Conduct] = lambda _: answers(204)
        self._at_once = 0
        self._tls = tls
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook/path-secret"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in self._open:
            connection.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has gone: it may
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()
            self._open.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        request = Request(
            headers["webhook-id"],
            int(headers["webhook-timestamp"]),
            self._verifies(body, headers),
            json.loads(body),
            first.split()[1],
            headers["host"],
        )
        self.requests.append(request)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            conduct = self.conducts.popleft() if self.conducts else self.conduct_of(request)
            keep = await conduct(request, writer)
            self.answered.append(request)
        finally:
            self._at_once -= 1
        return keep

    def _verifies(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True
