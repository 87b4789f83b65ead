"""How do pumps reach the broker? One MQTT connection on the running event loop, which comes back by itself."""

import asyncio
import contextlib
import ipaddress
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from simulators import mqtt
from simulators.mqtt import PacketType

CONNECT_WITHIN_S: Final = 5.0
KEEPALIVE_S: Final = 30
RETRY_FIRST_S: Final = 1.0  # with jitter: a whole fleet comes back at the same moment
RETRY_AT_MOST_S: Final = 5.0
MAX_UNSETTLED: Final = 2000  # PUBLISHes of one connection that the broker has not answered
REFUSALS: Final = {
    1: "protocol version",
    2: "client id",
    3: "server unavailable",
    4: "user name or password",
    5: "not authorised",
}


@dataclass(frozen=True, slots=True)
class Broker:
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"mqtt://{self.host}:{self.port}"


def broker_of(url: str) -> Broker:
    """Parse `mqtt://[user:password@]host[:port]`; raises ValueError with one line that says what is wrong."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the broker's port is not a number from 1 to 65535") from None
    if parts.scheme != "mqtt" or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError("a broker is given as mqtt://[user:password@]host[:port]")
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    return Broker(parts.hostname, port or 1883, user, password)


class Link:
    """One connection that many pumps share. What must be sent again after it broke is the pumps' business."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        *,
        subscription: str | None = None,
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        on_message: Callable[[bytes, bytes], None] = lambda _topic, _payload: None,
    ) -> None:
        self.is_up = False
        self._broker = broker
        self._client_id = client_id
        self._subscription = subscription
        self._on_up = on_up
        self._on_down = on_down
        self._on_message = on_message
        self._wire: _Wire | None = None
        self._settlers: dict[int, Callable[[], None]] = {}
        self._packet_id = 0

    @property
    def room(self) -> int:
        """How many more messages may be published now."""
        return MAX_UNSETTLED - len(self._settlers) if self.is_up else 0

    @property
    def unsettled(self) -> int:
        return len(self._settlers)

    def publish(self, topic: bytes, payload: bytes, settled: Callable[[], None], *, retain: bool = False) -> None:
        """Publish at QoS 1. `settled` is called when the broker answers, and never if the connection ends before."""
        if self._wire is None or not self.is_up:
            return
        packet_id = self._packet_id % mqtt.MAX_PACKET_ID + 1
        while packet_id in self._settlers:
            packet_id = packet_id % mqtt.MAX_PACKET_ID + 1
        self._packet_id = packet_id
        self._settlers[packet_id] = settled
        self._wire.write(mqtt.publish(topic, payload, packet_id, retain=retain))

    async def run(self) -> None:
        """Stay connected until cancelled. `on_down` says why not, once until it is up again."""
        retry_s = RETRY_FIRST_S
        said = False
        while True:
            try:
                why = await self._connect()
                if not why:
                    retry_s, said = RETRY_FIRST_S, False
                    why = await self._keep()
            finally:
                self._forget()
            if not said:
                said = True
                self._on_down(why)
            await asyncio.sleep(retry_s * random.uniform(0.5, 1.5))
            retry_s = min(2 * retry_s, RETRY_AT_MOST_S)

    async def _connect(self) -> str:
        """Return the reason why it is not connected; empty: it is."""
        loop = asyncio.get_running_loop()
        self._wire = wire = _Wire(self._packet)
        hello = mqtt.connect(self._client_id, KEEPALIVE_S, self._broker.user, self._broker.password)
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await loop.create_connection(lambda: wire, self._broker.host, self._broker.port)
                wire.write(hello)
                await asyncio.wait({wire.connected, wire.lost}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            return f"no answer within {CONNECT_WITHIN_S:g} s"
        except OSError as error:
            return os.strerror(error.errno) if error.errno else str(error)
        if wire.lost.done():
            return wire.lost.result()
        if self._subscription is not None:
            wire.write(mqtt.subscribe(self._subscription, mqtt.MAX_PACKET_ID))
        self.is_up = True
        self._on_up()
        return ""

    async def _keep(self) -> str:
        """Return, once it is lost, why."""
        wire = self._wire
        assert wire is not None  # noqa: S101
        while not wire.lost.done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(wire.lost), KEEPALIVE_S / 2)
                break
            if not wire.heard:
                return f"nothing heard for {KEEPALIVE_S / 2:g} s"
            wire.heard = False
            wire.write(mqtt.PINGREQ)
        return wire.lost.result()

    def _packet(self, packet: mqtt.Packet) -> None:
        wire = self._wire
        assert wire is not None  # noqa: S101
        match packet.type:
            case PacketType.PUBACK:
                settled = self._settlers.pop(packet.packet_id, None)
                if settled is not None:
                    settled()
            case PacketType.PUBLISH:
                self._on_message(packet.topic, packet.payload)
            case PacketType.CONNACK if packet.code == 0:
                if not wire.connected.done():
                    wire.connected.set_result("")
            case PacketType.CONNACK:
                wire.end(f"the broker refuses: {REFUSALS.get(packet.code, packet.code)}")
            case PacketType.SUBACK if packet.code == 0x80:
                wire.end(f"the broker refuses the subscription to {self._subscription}")

    def _forget(self) -> None:
        if self._wire is not None:
            if self.is_up:
                self._wire.write(mqtt.DISCONNECT)
            self._wire.end("closed")
        self.is_up = False
        self._wire = None
        self._settlers.clear()


class _Wire(asyncio.Protocol):
    """The socket: packets in, bytes out, what is written in one turn of the loop in one go."""

    def __init__(self, on_packet: Callable[[mqtt.Packet], None]) -> None:
        loop = asyncio.get_running_loop()
        self.connected: asyncio.Future[str] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self.heard = True
        self._on_packet = on_packet
        self._decoder = mqtt.Decoder()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, received: bytes) -> None:
        self.heard = True
        try:
            for packet in self._decoder.feed(received):
                if self.lost.done():
                    return
                self._on_packet(packet)
        except mqtt.ProtocolError as error:
            self.end(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else "the broker closed the connection")

    def write(self, packet: bytes) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(packet)

    def end(self, why: str) -> None:
        self._flush()
        self._end(why)
        if self._transport is not None:
            self._transport.close()

    def _end(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)

    def _flush(self) -> None:
        if self._out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()
