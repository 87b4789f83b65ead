"""How does a pump, or a gateway of many, stay connected to the broker? One MQTT connection that comes back by itself.

A plain socket on the running event loop, and no task of its own: docs/decisions/0005-connections-of-the-simulator.md.
"""

import asyncio
import random
import socket
import ssl
import struct
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Protocol

from simulators import mqtt
from simulators.broker import Broker
from simulators.dial import Dial, reason
from simulators.mqtt import PacketType, Will
from simulators.wheel import Wheel

CONNECT_WITHIN_S: Final = 15.0
KEEPALIVE_S: Final = 60
RETRY_FIRST_S: Final = 2.0  # doubled with each try; the wait is drawn from all of it: a whole fleet comes back at once
RETRY_AT_MOST_S: Final = 20.0
STEADY_AFTER_S: Final = 10.0  # a connection that held for this long was a good one: the next wait is short again
MAX_UNSETTLED: Final = 2000  # PUBLISHes of one connection that the broker has not answered
READ_BYTES: Final = 1 << 16
WAITS: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
ABRUPTLY: Final = struct.pack("ii", 1, 0)
REFUSALS: Final = {
    1: "protocol version",
    2: "client id",
    3: "server unavailable",
    4: "user name or password",
    5: "not authorised",
}


class Watcher(Protocol):
    """Who is told what becomes of a connection. What must be sent again after it broke is the watcher's business."""

    def up(self, link: "Link") -> None: ...
    def down(self, link: "Link", why: str) -> None:
        """It was lost, or could not be made: told once until it is up again."""

    def settled(self, link: "Link", token: Any) -> None:
        """The broker has answered what was published with `token`."""

    def heard(self, link: "Link", topic: bytes, payload: bytes) -> None: ...


class State(Enum):
    AWAY = "away"
    DIALLING = "dialling"
    GREETING = "greeting"
    UP = "up"
    OVER = "over"


class Link:
    """One connection. Its deadlines are in `wheel`; whoever turns that calls `turn` with each that is due."""

    __slots__ = (
        *("number", "state", "tries", "_broker", "_client_id", "_watcher", "_wheel", "_subscription", "_will"),
        *("_tls", "_dialling"),
        *("_socket", "_decoder", "_out", "_blocked", "_unsettled", "_packet_id"),
        *("_due_s", "_up_s", "_sent_s", "_heard", "_said"),
    )

    def __init__(
        self,
        number: int,
        broker: Broker,
        client_id: str,
        watcher: Watcher,
        wheel: Wheel["Link"],
        *,
        subscription: str | None = None,
        will: Will | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self.number = number
        self.state = State.AWAY
        self.tries = 0
        self._broker = broker.beginning_at(number)
        self._client_id = client_id
        self._watcher = watcher
        self._wheel = wheel
        self._subscription = subscription
        self._will = will
        self._tls = tls or ssl.create_default_context
        self._dialling: Dial | None = None
        self._socket: socket.socket | None = None
        self._decoder = mqtt.Decoder()
        self._out: list[bytes] = []
        self._blocked = False
        self._unsettled: dict[int, Any] = {}
        self._packet_id = 0
        self._due_s = self._up_s = self._sent_s = 0.0
        self._heard = self._said = False

    @property
    def is_up(self) -> bool:
        return self.state is State.UP

    @property
    def room(self) -> int:
        """How many more messages may be published now."""
        return MAX_UNSETTLED - len(self._unsettled) if self.state is State.UP else 0

    @property
    def unsettled(self) -> int:
        return len(self._unsettled)

    def start(self, after_s: float = 0.0) -> None:
        """Be connected from then on, until `stop`."""
        self._arm(time.monotonic() + after_s)

    def stop(self) -> None:
        """Say goodbye, so that the broker forgets the last will, and close."""
        if self.state is State.UP:
            self._out.append(mqtt.DISCONNECT)
            self.flush()
        self._close()
        self.state = State.OVER

    def drop(self) -> None:
        """Lose the connection without a word, as a network does."""
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPTLY)
        if self._socket is not None or self._dialling is not None:
            self._lost("dropped")

    def publish(self, topic: bytes, payload: bytes, token: Any, *, retain: bool = False) -> None:
        """Publish at QoS 1 with the next `flush`. If the connection ends before, the watcher hears of that only."""
        packet_id = self._packet_id % mqtt.MAX_PACKET_ID + 1
        while packet_id in self._unsettled:
            packet_id = packet_id % mqtt.MAX_PACKET_ID + 1
        self._packet_id = packet_id
        self._unsettled[packet_id] = token
        self._out.append(mqtt.publish(topic, payload, packet_id, retain=retain))

    def flush(self) -> None:
        """Give the socket what was written."""
        if not self._out or self._blocked or self._socket is None:
            return
        written = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        try:
            sent = self._socket.send(written)
        except WAITS:
            sent = 0
        except OSError as error:
            self._lost(reason(error))
            return
        if sent < len(written):
            self._out.append(written[sent:])
            self._blocked = True
            asyncio.get_running_loop().add_writer(self._socket, self._writable)
        self._sent_s = time.monotonic()

    def turn(self, due_s: float, now_s: float) -> None:
        """One of its deadlines has come; only the last that was set counts."""
        if due_s != self._due_s or self.state is State.OVER:
            return
        if self.state is State.AWAY:
            self._dial(now_s)
        elif self.state is State.UP:
            self._keep(now_s)
        else:
            self._lost(f"no answer within {CONNECT_WITHIN_S:g} s")

    def _arm(self, due_s: float) -> None:
        self._due_s = due_s
        self._wheel.at(due_s, self)

    def _dial(self, now_s: float) -> None:
        self.state = State.DIALLING
        self._arm(now_s + CONNECT_WITHIN_S)
        self._dialling = Dial(self._broker, self._tls, self._greet, lambda error: self._lost(reason(error)))
        self._dialling.start(self.tries)

    def _greet(self, connected: socket.socket) -> None:
        self._socket, self._dialling = connected, None
        self.state = State.GREETING
        asyncio.get_running_loop().add_reader(connected, self._readable)
        broker = self._broker
        self._out.append(mqtt.connect(self._client_id, KEEPALIVE_S, broker.user, broker.password, self._will))
        self.flush()

    def _greeted(self) -> None:
        now_s = self._up_s = time.monotonic()
        self.state = State.UP
        self._said = False
        self._arm(now_s + KEEPALIVE_S / 2)
        if self._subscription is not None:
            self._out.append(mqtt.subscribe(self._subscription, mqtt.MAX_PACKET_ID))
            self.flush()
        self._watcher.up(self)

    def _keep(self, now_s: float) -> None:
        """Half a keepalive has passed: the broker must hear something, and must have said something."""
        if now_s - self._sent_s < KEEPALIVE_S / 2 and not self._unsettled:
            self._arm(self._sent_s + KEEPALIVE_S / 2)
            return
        if not self._heard:
            self._lost(f"nothing heard for {KEEPALIVE_S / 2:g} s")
            return
        self._heard = False
        self._out.append(mqtt.PINGREQ)
        self.flush()
        if self.state is State.UP:
            self._arm(now_s + KEEPALIVE_S / 2)

    def _writable(self) -> None:
        if self._socket is not None:
            self._blocked = False
            asyncio.get_running_loop().remove_writer(self._socket)
            self.flush()

    def _readable(self) -> None:
        reading = self._socket
        if reading is None:
            return
        self._read(reading)
        # What TLS has deciphered already, no selector tells of.
        while isinstance(reading, ssl.SSLSocket) and self._socket is reading and reading.pending():
            self._read(reading)

    def _read(self, reading: socket.socket) -> None:
        try:
            received = reading.recv(READ_BYTES)
        except WAITS:
            return
        except OSError as error:
            self._lost(reason(error))
            return
        if not received:
            self._lost("the broker closed the connection")
            return
        self._heard = True
        try:
            packets = self._decoder.feed(received)
        except mqtt.ProtocolError as error:
            self._lost(str(error))
            return
        for packet in packets:
            if self._socket is not reading:
                return
            self._packet(packet)

    def _packet(self, packet: mqtt.Packet) -> None:
        kind = packet.type
        if kind is PacketType.PUBACK:
            token = self._unsettled.pop(packet.packet_id, None)
            if token is not None:
                self._watcher.settled(self, token)
        elif kind is PacketType.PUBLISH:
            self._watcher.heard(self, packet.topic, packet.payload)
        elif kind is PacketType.CONNACK and self.state is State.GREETING:
            if packet.code:
                self._lost(f"the broker refuses: {REFUSALS.get(packet.code, packet.code)}")
            else:
                self._greeted()
        elif kind is PacketType.SUBACK and packet.code == 0x80:
            self._lost(f"the broker refuses the subscription to {self._subscription}")

    def _lost(self, why: str) -> None:
        now_s = time.monotonic()
        was_up = self.state is State.UP
        if was_up and now_s - self._up_s >= STEADY_AFTER_S:
            self.tries = 0
        self._close()
        self.state = State.AWAY
        self._arm(now_s + random.uniform(0.0, min(RETRY_FIRST_S * 2.0**self.tries, RETRY_AT_MOST_S)))
        self.tries = min(self.tries + 1, 16)
        if not self._said:
            self._said = True
            self._watcher.down(self, why)

    def _close(self) -> None:
        if self._dialling is not None:
            self._dialling.give_up()
            self._dialling = None
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket)
            loop.remove_writer(self._socket)
            self._socket.close()
            self._socket = None
        self._decoder = mqtt.Decoder()
        self._out.clear()
        self._blocked = False
        self._unsettled.clear()
