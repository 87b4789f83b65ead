"""How does MQTT 3.1.1 look on the wire, as far as a pump speaks it? Bytes in and bytes out, no sockets.

Written out here and not taken from the library that the service uses: a shared client would hide shared mistakes, and
this one costs a fleet on the same machine a tenth.
"""

from enum import IntEnum
from typing import Final, NamedTuple

MAX_PACKET_ID: Final = 65535
PINGREQ: Final = b"\xc0\x00"
DISCONNECT: Final = b"\xe0\x00"

_CLEAN_SESSION, _WILL, _WILL_QOS_1, _WILL_RETAIN, _PASSWORD, _USER = 0x02, 0x04, 0x08, 0x20, 0x40, 0x80
_QOS_1, _RETAIN = 0x02, 0x01
_MAX_LENGTH_BYTES = 4
_A_PUBACK, _A_PUBLISH = 0x40, 0x30  # first bytes; of a PUBLISH without its flags


class PacketType(IntEnum):
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBACK = 9
    PINGRESP = 13


class Packet(NamedTuple):
    """A packet from the broker. `code` is the return code of CONNACK and SUBACK."""

    type: PacketType
    packet_id: int = 0
    code: int = 0
    topic: bytes = b""
    payload: bytes = b""


class ProtocolError(Exception):
    """The broker sent what MQTT 3.1.1 does not allow, or what a pump has not asked for."""


class Will(NamedTuple):
    """What the broker is to publish, retained and at QoS 1, when the connection ends without DISCONNECT."""

    topic: bytes
    payload: bytes


def connect(
    client_id: str, keepalive_s: int, user: str | None = None, password: str | None = None, will: Will | None = None
) -> bytes:
    flags = _CLEAN_SESSION
    fields = _text(client_id.encode())
    if will is not None:
        flags |= _WILL | _WILL_QOS_1 | _WILL_RETAIN
        fields += _text(will.topic) + _text(will.payload)
    if user is not None:
        flags |= _USER
        fields += _text(user.encode())
        if password is not None:
            flags |= _PASSWORD
            fields += _text(password.encode())
    return _packet(0x10, b"\x00\x04MQTT\x04" + bytes([flags]) + keepalive_s.to_bytes(2, "big") + fields)


def publish(topic: bytes, payload: bytes, packet_id: int, *, retain: bool = False) -> bytes:
    """A PUBLISH at QoS 1."""
    fixed = 0x30 | _QOS_1 | (_RETAIN if retain else 0)
    return _packet(fixed, b"%b%b%b" % (_text(topic), packet_id.to_bytes(2, "big"), payload))


def subscribe(topic_filter: str, packet_id: int) -> bytes:
    """A SUBSCRIBE at QoS 0."""
    return _packet(0x82, packet_id.to_bytes(2, "big") + _text(topic_filter.encode()) + b"\x00")


class Decoder:
    """Cuts what the broker sends into packets, however it arrives."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> list[Packet]:
        """Return the packets that are now complete; raises ProtocolError."""
        buffer = self._rest + received if self._rest else received
        packets = []
        at, size = 0, len(buffer)
        while at < size:
            # A PUBACK is nearly all that a pump hears.
            if buffer[at] == _A_PUBACK and at + 4 <= size and buffer[at + 1] == 2:
                packets.append(Packet(PacketType.PUBACK, buffer[at + 2] << 8 | buffer[at + 3]))
                at += 4
                continue
            found = _body(buffer, at)
            if found is None:
                break
            begin, end = found
            packets.append(_decode(buffer[at], buffer[begin:end]))
            at = end
        self._rest = buffer[at:]
        return packets


def _body(buffer: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` begins and ends; None if it is not complete."""
    length = shift = 0
    for begin in range(at + 1, min(at + 1 + _MAX_LENGTH_BYTES, len(buffer))):
        length |= (buffer[begin] & 0x7F) << shift
        shift += 7
        if buffer[begin] < 0x80:
            end = begin + 1 + length
            return (begin + 1, end) if end <= len(buffer) else None
    if len(buffer) > at + _MAX_LENGTH_BYTES:
        raise ProtocolError("a packet's length has more than four bytes")
    return None


def _decode(fixed: int, body: bytes) -> Packet:
    try:
        if fixed == _A_PUBLISH:
            end = 2 + (body[0] << 8 | body[1])
            return Packet(PacketType.PUBLISH, 0, 0, body[2:end], body[end:])
        kind = PacketType(fixed >> 4)
        match kind:
            case PacketType.CONNACK:
                return Packet(kind, code=body[1])
            case PacketType.PUBACK:
                return Packet(kind, packet_id=body[0] << 8 | body[1])
            case PacketType.SUBACK:
                return Packet(kind, packet_id=body[0] << 8 | body[1], code=body[2])
            case PacketType.PINGRESP:
                return Packet(kind)
            case PacketType.PUBLISH:
                end = 2 + (body[0] << 8 | body[1])
                # Pumps subscribe at QoS 0, so that no packet id follows the topic.
                if fixed & 0x06:
                    raise ProtocolError("a message at a higher QoS than was subscribed")
                return Packet(kind, topic=body[2:end], payload=body[end:])
    except (IndexError, ValueError):
        raise ProtocolError(f"not a packet that a broker sends: {fixed:#04x}") from None


def _packet(fixed: int, body: bytes) -> bytes:
    length = len(body)
    if length < 0x80:
        return b"%c%c%b" % (fixed, length, body)
    head = bytearray([fixed])
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text
