"""A broker that does what a test tells it, right or wrong: real ones keep to the protocol too well."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from service.embedded.child import LOOPBACK
from tests.mqtt.publisher import packet, publish_packet, read_packet


class Peer:
    """One client's connection, from the broker's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.connect = b""
        self.puback_ids: list[int] = []

    async def accept(self, *, session_present: bool = True, answer: int = 0) -> None:
        """CONNECT, CONNACK."""
        first, self.connect = await read_packet(self.reader)
        assert first == 0x10
        await self.send(packet(0x20, bytes([session_present, answer])))

    async def subscribe(self, granted: int | None = None) -> None:
        """SUBSCRIBE, SUBACK: each filter as asked for, or `granted` (0x80 refuses)."""
        first, body = await read_packet(self.reader)
        assert first == 0x82
        asked, at = [], 2
        while at < len(body):
            at += 2 + int.from_bytes(body[at : at + 2], "big") + 1
            asked.append(body[at - 1])
        await self.send(packet(0x90, body[:2] + bytes(qos if granted is None else granted for qos in asked)))

    async def publish(self, packet_id: int, topic: bytes, payload: bytes, first: int = 0x32) -> None:
        await self.send(publish_packet(packet_id, topic, payload, first))

    async def send(self, packets: bytes) -> None:
        self.writer.write(packets)
        await self.writer.drain()

    async def serve(self) -> None:
        """Note PUBACKs and answer what wants an answer, until the client is gone."""
        while True:
            first, body = await read_packet(self.reader)
            if first == 0x40:
                self.puback_ids.append(int.from_bytes(body, "big"))
            elif first == 0xA2:
                await self.send(packet(0xB0, body[:2]))
            elif first == 0xC0:
                await self.send(b"\xd0\x00")
            elif first == 0xE0:
                return


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def scripted_broker(*scripts: Script) -> AsyncIterator[tuple[str, list[Peer]]]:
    """Run the first script on the first connection and so on, the last on all that follow; give URL and peers."""
    peers: list[Peer] = []
    plays: list[asyncio.Task[None]] = []

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        peers.append(peer)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await scripts[min(len(peers), len(scripts)) - 1](peer)
        finally:
            writer.close()

    server = await asyncio.start_server(lambda *streams: plays.append(asyncio.create_task(play(*streams))), LOOPBACK, 0)
    try:
        yield f"mqtt://{LOOPBACK}:{server.sockets[0].getsockname()[1]}", peers
    finally:
        server.close()
        for ongoing in plays:
            ongoing.cancel()
        ended = await asyncio.gather(*plays, return_exceptions=True)
        await server.wait_closed()
    assert [failure for failure in ended if isinstance(failure, Exception)] == []


async def polite(peer: Peer) -> None:
    """What a broker does that knows the session and has nothing to say."""
    await peer.accept()
    await peer.subscribe()
    await peer.serve()
