"""What is one connection to the broker, from the TCP socket to the reason why it ended?"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final, Protocol

from service.logs import tell
from service.mqtt.client import PlainClient
from service.mqtt.connecting import Broker, connect, why
from service.mqtt.packets import Publish

ACCEPTED_WITHIN_S: Final = 10.0  # TCP, TLS; then CONNACK and SUBACK, or what the session has had waiting before it
LEAVE_WITHIN_S: Final = 2.0
LOOK_EVERY_S: Final = 1.0
NEVER_SUBSCRIBED: Final = "pumpwatch/leaving"
READ_EVERY_S: Final = 0.002
"""While messages come, the socket is read this often rather than each time that a few bytes have arrived."""


class Listener(Protocol):
    """Who keeps the connection. Called from within paho, it may call nothing of the link but `leave` and `pause`."""

    def on_accepted(self, *, session_present: bool) -> None: ...
    def on_subscribed(self) -> None: ...
    def on_publishes(self, publishes: list[Publish]) -> None: ...
    def on_qos_0(self, topic: bytes, payload: bytes) -> None: ...
    def on_ended(self) -> None: ...


class Link:
    def __init__(
        self,
        paho: type[PlainClient],
        broker: Broker,
        client_id: str,
        subscriptions: Sequence[tuple[str, int]],
        listener: Listener,
        keepalive_s: int,
    ) -> None:
        self._broker = broker
        self._subscriptions = list(subscriptions)
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._reason = ""
        self._leaving_since: float | None = None
        self._accepted = False
        self._subscribed = False
        self._socket_number: int | None = None
        self._next_read: asyncio.TimerHandle | None = None
        self._flushing = False
        self._heard_at = 0.0
        client = self._client = paho(client_id, self._on_publishes, self._on_qos_0)
        client.connect_async(broker.host, broker.port, keepalive_s)
        client.username_pw_set(broker.username, broker.password)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_last_answer
        client.on_disconnect = self._on_disconnect
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_write_wanted
        client.on_socket_unregister_write = self._on_write_done

    async def live(self) -> str:
        """Connect, subscribe and stay; return why it ended."""
        try:
            async with asyncio.timeout(ACCEPTED_WITHIN_S):
                connected = await connect(self._broker)
            if self._broker.tls:
                self._client.prepare_tls(self._broker.tls_context)
            self._client.open(connected)
        except OSError as error:
            return f"{self._broker}: {why(error)}"
        self._heard_at = monotonic()
        try:
            while not self._ended.done():
                await asyncio.wait([self._ended], timeout=LOOK_EVERY_S)
                self.read()  # first, lest an answer that lies in the socket be taken for none
                self._client.loop_misc()
                if (
                    not self._subscribed
                    and not self._client.paused
                    and monotonic() > self._heard_at + ACCEPTED_WITHIN_S
                ):
                    self._leave_now("not accepted in time")
                if self._leaving_since is not None and monotonic() > self._leaving_since + LEAVE_WITHIN_S:
                    self._hang_up()
            return f"{self._broker}: {self._ended.result()}"
        finally:
            self._hang_up()

    def read(self) -> bool:
        """Take what lies in the socket; say whether there was anything."""
        if self._socket_number is None or self._client.paused:
            return False
        try:
            return self._client.read()
        except Exception as error:  # noqa: BLE001 - whatever a broker sends, the loop goes on
            tell("broker_not_understood", logging.ERROR, error=repr(error))
            self._reason = self._reason or "sent what could not be understood"
            self._hang_up()
            return False

    def pause(self) -> None:
        """Leave in the socket what comes: TCP then holds the broker back. Not for long: its pings lie there, too."""
        self._client.paused = True

    def resume(self) -> None:
        if self._client.paused:
            self._client.paused = False
            self._heard_at = monotonic()
            self._read_on()

    def settle(self, packet_ids: Sequence[int]) -> None:
        self._client.send_pubacks(packet_ids)
        self._flush_soon()

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> int:
        """Return how many of them can go out."""
        if not self._accepted or self._socket_number is None or self._leaving_since is not None:
            return 0
        sent = sum(self._client.send_publish(topic, payload) for topic, payload in messages)
        self._flush_soon()
        return sent

    def leave(self, reason: str) -> None:
        """Take no more, send what is to be sent, disconnect; the session stays. May be called from within paho."""
        if self._leaving_since is None:
            self._reason = self._reason or reason
            self._leaving_since = monotonic()
            self._loop.call_soon(self.resume)  # the last answer is to be heard
            self._loop.call_soon(self._ask_for_last_answer)

    def _leave_now(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._hang_up()

    def _ask_for_last_answer(self) -> None:
        """A broker answers in order: with the UNSUBACK it has our PUBACKs. Closing at once loses some in Mosquitto."""
        if self._client.socket() is not None:
            self._client.flush(at_once=True)
            self._client.unsubscribe(NEVER_SUBSCRIBED)

    def _on_last_answer(self, *_: Any) -> None:
        self._loop.call_soon(self._say_goodbye)

    def _say_goodbye(self) -> None:
        if self._client.socket() is not None:
            self._client.disconnect()
            self._client.loop_write()

    def _hang_up(self) -> None:
        open_socket = self._client.socket()
        if open_socket is not None:
            self._on_socket_close()
            open_socket.close()
            with suppress(Exception):
                self._client.loop_read()  # finds it closed, and says so
            self._end("connection lost")

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._socket_number is not None:
            self._client.flush()

    def _readable(self) -> None:
        if self._socket_number is not None:
            self._loop.remove_reader(self._socket_number)
            self._read_on()

    def _read_on(self) -> None:
        anything = self.read()
        if self._socket_number is None or self._client.paused:
            return
        if anything:
            self._next_read = self._loop.call_later(READ_EVERY_S, self._read_on)
        else:
            self._loop.add_reader(self._socket_number, self._readable)

    def _writable(self) -> None:
        self._client.loop_write()
        if self._socket_number is not None:
            self._client.flush()

    def _on_publishes(self, publishes: list[Publish]) -> None:
        if not self._accepted:
            self.leave("sent a message before CONNACK")
        elif self._leaving_since is None:
            self._heard_at = monotonic()
            self._listener.on_publishes(publishes)

    def _on_qos_0(self, topic: bytes, payload: bytes) -> None:
        if self._accepted and self._leaving_since is None:
            self._listener.on_qos_0(topic, payload)

    def _on_connect(self, _client: Any, _userdata: Any, flags: Any, reason_code: Any, _properties: Any) -> None:
        if reason_code.is_failure:
            self._reason = str(reason_code).lower()
            return
        self._accepted = True
        self._listener.on_accepted(session_present=flags.session_present)
        self._client.subscribe(self._subscriptions)

    def _on_subscribe(
        self, _client: Any, _userdata: Any, _packet_id: int, reason_codes: list[Any], _properties: Any
    ) -> None:
        refused = [
            topic for (topic, _), code in zip(self._subscriptions, reason_codes, strict=False) if code.is_failure
        ]
        if refused or len(reason_codes) != len(self._subscriptions):
            self.leave(f"subscription refused: {', '.join(refused)}")
        else:
            self._subscribed = True
            self._listener.on_subscribed()

    def _on_disconnect(self, _client: Any, _userdata: Any, _flags: Any, reason_code: Any, _properties: Any) -> None:
        told = str(reason_code).lower()
        self._end("connection lost" if told == "unspecified error" else told)

    def _end(self, told: str) -> None:
        if not self._ended.done():
            self._ended.set_result(self._reason or told)
            self._listener.on_ended()

    def _on_socket_open(self, _client: Any, _userdata: Any, opened: Any) -> None:
        number: int = opened.fileno()
        self._socket_number = number
        self._loop.add_reader(number, self._readable)

    def _on_socket_close(self, *_: Any) -> None:
        if self._socket_number is not None:
            self._loop.remove_reader(self._socket_number)
            self._loop.remove_writer(self._socket_number)
            self._socket_number = None
        if self._next_read is not None:
            self._next_read.cancel()

    def _on_write_wanted(self, *_: Any) -> None:
        if self._socket_number is not None:
            self._loop.add_writer(self._socket_number, self._writable)

    def _on_write_done(self, *_: Any) -> None:
        if self._socket_number is not None:
            self._loop.remove_writer(self._socket_number)
