"""A client of MQTT that does what it is told, right or wrong, and says what came of it."""

import asyncio
import ssl
from contextlib import suppress
from secrets import token_hex
from typing import NamedTuple, Self

from tests.mqtt.publisher import packet, publish_packet, read_packet, text
from tests.patience import until_true
from tests.security.installation import HOST

PATIENCE_S = 60.0
REFUSED = 0x80


class RefusedError(Exception):
    """The broker did not let us in: in TLS, or with the code of its CONNACK."""


class Heard(NamedTuple):
    topic: str
    payload: bytes


class Client:
    """One connection. What comes is gathered; what was published is known when it was confirmed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard: list[Heard] = []
        self.confirmed: set[int] = set()
        self.over = asyncio.Event()
        self._reader, self._writer = reader, writer
        self._subacks: asyncio.Queue[int] = asyncio.Queue()
        self._packet_id = 0
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def connect(
        cls,
        port: int,
        context: ssl.SSLContext,
        *,
        client_id: str = "",
        user: bytes = b"",
        keeps_session: bool = False,
        will: tuple[str, bytes] | None = None,
    ) -> Self:
        """Raises RefusedError."""
        flags = (0 if keeps_session else 2) | (0x80 if user else 0) | (0x0C if will else 0)
        body = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x3c" + text((client_id or f"c{token_hex(8)}").encode())
        body += b"".join(map(text, (will[0].encode(), will[1]))) if will else b""
        body += text(user) if user else b""
        writer = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=HOST)
                writer.write(packet(0x10, body))
                first, answer = await read_packet(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            if writer is not None:
                await _closed(writer)
            raise RefusedError(str(error) or "closed") from None
        if (first, answer[1]) != (0x20, 0):
            await _closed(writer)
            raise RefusedError(f"CONNACK {answer[1]}")
        return cls(reader, writer)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """At QoS 1; return when it was confirmed, or the connection is over."""
        self._packet_id += 1
        number = self._packet_id
        with suppress(OSError):
            self._writer.write(publish_packet(number, topic.encode(), payload, 0x33 if retain else 0x32))
            await self._writer.drain()
        await until_true(
            lambda: number in self.confirmed or self.over.is_set(), f"PUBACK of {topic}", patience_s=PATIENCE_S
        )

    async def subscribe(self, topic_filter: str, qos: int = 0) -> int:
        self._writer.write(packet(0x82, b"\x00\x01" + text(topic_filter.encode()) + bytes([qos])))
        async with asyncio.timeout(PATIENCE_S):
            return await self._subacks.get()

    async def write(self, raw: bytes) -> None:
        self._writer.write(raw)
        await self._writer.drain()

    async def drop(self) -> None:
        """Without a word, so that the last will is published."""
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening
        self._writer.transport.abort()
        await _closed(self._writer)

    async def close(self) -> None:
        with suppress(OSError):
            self._writer.write(b"\xe0\x00")
            await self._writer.drain()
        await self.drop()

    async def _listen(self) -> None:
        try:
            while True:
                first, body = await read_packet(self._reader)
                if first == 0x40:
                    self.confirmed.add(int.from_bytes(body, "big"))
                elif first == 0x90:
                    self._subacks.put_nowait(body[2])
                elif first & 0xF0 == 0x30:
                    self._take(first, body)
        except (OSError, asyncio.IncompleteReadError):
            self.over.set()

    def _take(self, first: int, body: bytes) -> None:
        end = 2 + int.from_bytes(body[:2], "big")
        if first & 0x06:
            self._writer.write(packet(0x40, body[end : end + 2]))
        self.heard.append(Heard(body[2:end].decode(), body[end + (2 if first & 0x06 else 0) :]))


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
