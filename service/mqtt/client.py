"""How do we read MQTT faster than paho does, and still let paho speak it?

`BufferedClient` reads 64 KiB at a time, takes QoS-1 PUBLISHes straight out of the buffer and gives every other packet
to paho's own state machine: 4 µs a message, drained and settled, instead of 50. It uses private methods of paho, so it
is used only while their sources are those it was written against; `PlainClient`, paho as it comes, is the way out.
"""

import hashlib
import inspect
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final

from paho.mqtt.client import PUBACK, Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from service.logs import tell
from service.mqtt.packets import Publish, pubacks, publish_qos_0, take_publishes

RECV_BYTES: Final = 64 * 1024
READS_A_TURN: Final = 16  # then the event loop has its turn
PLAIN_READS_A_TURN: Final = 200
MOST_UNSENT_BYTES: Final = 1024 * 1024
PLAIN_CONNECT_WITHIN_S: Final = 2.0

# What BufferedClient overrides, calls, or shares the bookkeeping of: the first 16 digits of SHA-256 of each source.
PAHO_INTERNALS: Final = {
    "_check_keepalive": "162b7cd2a4d56585",
    "_create_socket": "3043436f2eb23690",
    "_loop_rc_handle": "ee5ad3b7849433a4",
    "_packet_handle": "ac4c129ed409db42",
    "_packet_queue": "e298fa9ab31e5f79",
    "_packet_read": "bbe32d8af1e37955",
    "_packet_write": "d097b7b51bed128d",
    "_sock_close": "638e9c4e5a7f32ae",
    "_sock_recv": "c3b9043a46dd81b7",
    "_sock_send": "300d9f1031bd0dbd",
    "loop_misc": "e9c8f0e45281062e",
    "loop_read": "4fa11ca2d451dbec",
    "loop_write": "57c360e5ae749fd9",
    "reconnect": "3ecdf1a8299e8c8a",
    "want_write": "dc5eaf22e9d3a4ca",
}


class PlainClient(Client):
    """paho through its public interface only, and the few verbs that the inbox needs."""

    def __init__(
        self,
        client_id: str,
        on_publishes: Callable[[list[Publish]], None],
        on_qos_0: Callable[[bytes, bytes], None],
    ) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self.suppress_exceptions = True
        self.enable_logger(logging.getLogger("pumpwatch.paho"))
        self.connect_timeout = PLAIN_CONNECT_WITHIN_S
        self.on_publishes = on_publishes
        self.on_qos_0 = on_qos_0
        self.on_message = self._hand_over
        self._handed_over = 0
        self.paused = False  # what comes is left in the socket

    def prepare_tls(self, context: Callable[[], ssl.SSLContext]) -> None:
        self.tls_set_context(context())

    def open(self, connected: socket.socket) -> None:
        """Begin MQTT. paho connects by itself, which blocks: `connected` has only shown that it will be quick."""
        connected.close()
        self.reconnect()

    def read(self) -> bool:
        """Take what has arrived; say whether there was any message."""
        began = self._handed_over
        for _ in range(PLAIN_READS_A_TURN):
            before = self._handed_over
            self.loop_read()  # one packet
            if self._handed_over == before or self.paused:
                break
        return self._handed_over > began

    def send_pubacks(self, packet_ids: Sequence[int]) -> None:
        for packet_id in packet_ids:
            self.ack(packet_id, 1)

    def send_publish(self, topic: str, payload: bytes) -> bool:
        """Queue a QoS-0 PUBLISH; False if too much is unsent already."""
        return self.publish(topic, payload).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def flush(self, *, at_once: bool = False) -> None:
        """Hand over to paho what the two methods above have gathered."""

    def _hand_over(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        self._handed_over += 1
        try:
            topic = message.topic.encode()
        except UnicodeDecodeError as error:
            topic = error.object
        if message.qos == 0:
            self.on_qos_0(topic, bytes(message.payload))
        else:
            self.on_publishes([(message.mid, topic, bytes(message.payload))])


class BufferedClient(PlainClient):
    """paho with one large read, and QoS-1 PUBLISHes and PUBACKs past its state machine."""

    _connected: socket.socket
    _unread = b""
    _at = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._outgoing = bytearray()

    def prepare_tls(self, context: Callable[[], ssl.SSLContext]) -> None:
        """Nothing to prepare: the socket comes with its hands shaken."""

    def open(self, connected: socket.socket) -> None:
        self._connected = connected
        self.reconnect()

    def _create_socket(self) -> socket.socket:
        return self._connected

    def read(self) -> bool:
        before = self._last_bytes_received
        self.loop_read()
        return self._last_bytes_received != before

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002 - paho's signature
        for _ in range(READS_A_TURN):
            if self._sock is None:
                return MQTTErrorCode.MQTT_ERR_NO_CONN
            try:
                chunk = super()._sock_recv(RECV_BYTES)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            code = self._take(chunk) if chunk else MQTTErrorCode.MQTT_ERR_CONN_LOST
            if code > 0:
                return self._loop_rc_handle(code)
            if len(chunk) < RECV_BYTES or self.paused:
                break
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _take(self, chunk: bytes) -> MQTTErrorCode:
        self._last_bytes_received = monotonic()
        self._unread, self._at = self._unread[self._at :] + chunk, 0
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        while self._at < len(self._unread) and code == MQTTErrorCode.MQTT_ERR_SUCCESS:
            if self._in_packet["command"] == 0:  # paho is between two packets
                publishes, self._at, wait = take_publishes(self._unread, self._at)
                if publishes:
                    self._last_msg_in = self._last_bytes_received  # the answer to a ping waits behind all of them
                    self.on_publishes(publishes)
                if wait:
                    break
            code = self._packet_read()
        return code

    def _sock_recv(self, bufsize: int) -> bytes:
        begin = self._at
        if begin == len(self._unread):
            return super()._sock_recv(bufsize)
        self._at = min(begin + bufsize, len(self._unread))
        return self._unread[begin : self._at]

    def send_pubacks(self, packet_ids: Sequence[int]) -> None:
        self._outgoing += pubacks(packet_ids)

    def send_publish(self, topic: str, payload: bytes) -> bool:
        if len(self._outgoing) > MOST_UNSENT_BYTES:
            return False
        self._outgoing += publish_qos_0(topic, payload)
        return True

    def flush(self, *, at_once: bool = False) -> None:
        if self._outgoing and (at_once or not self.want_write()):
            # All of it is one packet to paho, which neither looks inside nor tells anybody when a PUBACK has left.
            outgoing, self._outgoing = self._outgoing, bytearray()
            self._packet_queue(PUBACK, outgoing, 0, 1)


def fingerprint(method: Callable[..., object]) -> str:
    try:
        source = inspect.getsource(method)
    except (OSError, TypeError):
        return "no source"
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def changed_internals(client: type[Client] = Client) -> list[str]:
    """Name the private methods of paho that are not those that BufferedClient was written against."""
    return [name for name, expected in PAHO_INTERNALS.items() if fingerprint(getattr(client, name, str)) != expected]


def best_client(paho: type[Client] = Client) -> type[PlainClient]:
    """BufferedClient if paho is as it was; else PlainClient, correct and ten times slower, and a warning."""
    changed = changed_internals(paho)
    if not changed:
        return BufferedClient
    tell("paho_not_as_expected", logging.WARNING, changed=",".join(changed), consequence="reading is slow")
    return PlainClient
