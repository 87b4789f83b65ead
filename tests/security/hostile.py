"""Who wants to do a broker harm: one connection each, again and again, until told to end."""

import asyncio
import ssl
from collections import Counter
from contextlib import suppress

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

    async def _without_a_certificate(self, stop: asyncio.Event) -> None:
        await self._greeted(self._stranger, stop)

    async def _silent_before_tls(self, stop: asyncio.Event) -> None:
        _, writer = await asyncio.open_connection(HOST, self._port)
        await self._hold(writer, stop)

    async def _silent_before_connect(self, stop: asyncio.Event) -> None:
        _, writer = await self._open(self._pump)
        await self._hold(writer, stop)

    async def _other_topics(self, stop: asyncio.Event) -> None:
        writer = await self._greeted(self._pump, stop)
        for topic in (f"pumps/v1/{self._victim}/telemetry", f"receipts/v1/{self._victim}", "$SYS/x", "pumps/v1//event"):
            for number in range(1, 21):
                writer.write(publish_packet(number, topic.encode(), b"{}"))
            writer.write(packet(0x82, b"\x00\x01" + text(b"#") + b"\x01"))
        await writer.drain()
        await self._close(writer)

    async def _huge_packets(self, stop: asyncio.Event) -> None:
        writer = await self._greeted(self._pump, stop)
        writer.write(publish_packet(1, f"pumps/v1/{self._victim}/event".encode(), bytes(HUGE_BYTES)))
        await writer.drain()
        await self._close(writer)

    async def _slow_writer(self, stop: asyncio.Event) -> None:
        writer = await self._greeted(self._pump, stop)
        for byte in publish_packet(1, b"pumps/v1/x/telemetry", bytes(100))[:20]:
            writer.write(bytes([byte]))
            await writer.drain()
            await self._pause(HELD_S / 20, stop)
        await self._close(writer)

    async def _no_mqtt_at_all(self, _: asyncio.Event) -> None:
        _, writer = await self._open(self._pump)
        writer.write(b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n" * 100)
        await writer.drain()
        await self._close(writer)

    async def _half_a_packet(self, stop: asyncio.Event) -> None:
        writer = await self._greeted(self._pump, stop)
        writer.write(b"\x32\xff\xff\xff\x7f" + bytes(1000))  # says that 256 MB follow
        await writer.drain()
        await self._hold(writer, stop)

    async def _open(self, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(HOST, self._port, ssl=context, server_hostname=HOST)

    async def _greeted(self, context: ssl.SSLContext, _: asyncio.Event) -> asyncio.StreamWriter:
        _, writer = await self._open(context)
        self.done["connections"] += 1
        name = f"h{id(writer)}".encode()
        writer.write(packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c" + text(name)))
        await writer.drain()
        return writer

    async def _hold(self, writer: asyncio.StreamWriter, stop: asyncio.Event) -> None:
        await self._pause(HELD_S, stop)
        await self._close(writer)

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()

    async def _pause(self, seconds: float, stop: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
