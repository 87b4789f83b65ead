"""Who wants to do a broker harm: one connection each, again and again, until told to end."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.mqtt.publisher import packet, publish_packet, text
from tests.security.installation import HOST

HELD_S = 5.0
"""Who is slow, or silent, keeps a connection for so long before it comes again."""
PAUSE_S = 0.2
HUGE_BYTES = 1 << 20


class Hostile:
    """`done` counts what was attempted, by kind."""

    def __init__(self, port: int, stranger: ssl.SSLContext, pump: ssl.SSLContext, victim: str) -> None:
        self._port = port
        self._stranger = stranger
        self._pump = pump
        self._victim = victim
        self.done: Counter[str] = Counter()
        self._kinds = (
            self._without_a_certificate,
            self._silent_before_tls,
            self._silent_before_connect,
            self._other_topics,
            self._huge_packets,
            self._slow_writer,
            self._no_mqtt_at_all,
            self._half_a_packet,
        )

    async def attack(self, number: int, stop: asyncio.Event) -> None:
        kind = self._kinds[number % len(self._kinds)]
        while not stop.is_set():
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(4 * HELD_S):
                    await kind(stop)
            self.done[kind.__name__.strip("_")] += 1
            await self._pause(PAUSE_S, stop)

    async def _without_a_certificate(self, _: asyncio.Event) -> None:
        async with self._greeted(self._stranger):
            pass

    async def _silent_before_tls(self, stop: asyncio.Event) -> None:
        async with self._connected(None):
            await self._pause(HELD_S, stop)

    async def _silent_before_connect(self, stop: asyncio.Event) -> None:
        async with self._connected(self._pump):
            await self._pause(HELD_S, stop)

    async def _other_topics(self, _: asyncio.Event) -> None:
        topics = (f"pumps/v1/{self._victim}/telemetry", f"receipts/v1/{self._victim}", "$SYS/x", "pumps/v1//event")
        async with self._greeted(self._pump) as writer:
            for topic in topics:
                for number in range(1, 21):
                    writer.write(publish_packet(number, topic.encode(), b"{}"))
                writer.write(packet(0x82, b"\x00\x01" + text(b"#") + b"\x01"))
            await writer.drain()

    async def _huge_packets(self, _: asyncio.Event) -> None:
        async with self._greeted(self._pump) as writer:
            writer.write(publish_packet(1, f"pumps/v1/{self._victim}/event".encode(), bytes(HUGE_BYTES)))
            await writer.drain()

    async def _slow_writer(self, stop: asyncio.Event) -> None:
        async with self._greeted(self._pump) as writer:
            for byte in publish_packet(1, b"pumps/v1/x/telemetry", bytes(100))[:20]:
                writer.write(bytes([byte]))
                await writer.drain()
                await self._pause(HELD_S / 20, stop)

    async def _no_mqtt_at_all(self, _: asyncio.Event) -> None:
        async with self._connected(self._pump) as writer:
            writer.write(b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n" * 100)
            await writer.drain()

    async def _half_a_packet(self, stop: asyncio.Event) -> None:
        async with self._greeted(self._pump) as writer:
            writer.write(b"\x32\xff\xff\xff\x7f" + bytes(1000))  # says that 256 MB follow
            await writer.drain()
            await self._pause(HELD_S, stop)

    @asynccontextmanager
    async def _connected(self, context: ssl.SSLContext | None) -> AsyncIterator[asyncio.StreamWriter]:
        name = None if context is None else HOST
        _, writer = await asyncio.open_connection(HOST, self._port, ssl=context, server_hostname=name)
        self.done["connections"] += 1
        try:
            yield writer
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
            writer.close()

    @asynccontextmanager
    async def _greeted(self, context: ssl.SSLContext) -> AsyncIterator[asyncio.StreamWriter]:
        async with self._connected(context) as writer:
            name = f"h{id(writer)}".encode()
            writer.write(packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c" + text(name)))
            await writer.drain()
            yield writer

    async def _pause(self, seconds: float, stop: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
