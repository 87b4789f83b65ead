"""A pump's side of MQTT, as raw bytes: it publishes what a library would refuse to, and knows what was settled."""

import asyncio
from collections.abc import Sequence
from secrets import token_hex
from urllib.parse import urlsplit

Message = tuple[bytes, bytes]
"""(topic, payload)."""


def packet(first: int, body: bytes) -> bytes:
    length, digits = len(body), bytearray()
    while True:
        length, digit = length >> 7, length & 0x7F
        digits.append(digit | 0x80 if length else digit)
        if not length:
            return bytes([first]) + bytes(digits) + body


def text(name: bytes) -> bytes:
    return len(name).to_bytes(2, "big") + name


def publish_packet(packet_id: int, topic: bytes, payload: bytes, first: int = 0x32) -> bytes:
    return packet(first, text(topic) + (packet_id.to_bytes(2, "big") if first & 0x06 else b"") + payload)


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length, shift = (await reader.readexactly(1))[0], 0, 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            return first, await reader.readexactly(length)


async def publish(url: str, messages: Sequence[Message], *, qos: int = 1, retain: bool = False) -> None:
    """Publish on one connection, in order; at QoS 1 return when the broker has taken all of it."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        name = f"pump-{token_hex(6)}".encode()
        writer.write(packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c" + text(name)))
        first, body = await read_packet(reader)
        assert (first, body[1]) == (0x20, 0), "the broker refused a pump"
        for number, (topic, payload) in enumerate(messages):
            writer.write(publish_packet(number % 65535 + 1, topic, payload, 0x30 | qos << 1 | retain))
            await writer.drain()
        for _ in messages if qos else ():
            assert (await read_packet(reader))[0] == 0x40
        writer.write(b"\xe0\x00")
        await writer.drain()
    finally:
        writer.close()
        await writer.wait_closed()
