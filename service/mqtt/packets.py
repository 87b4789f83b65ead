"""What do the bytes of the two packets that come and go by the thousand mean: PUBLISH at QoS 1, and PUBACK?

Everything else of MQTT 3.1.1 is left to paho; so is a PUBLISH that is malformed or very large.
"""

from collections.abc import Sequence
from struct import pack
from typing import Final

from service.core.reading import MAX_MESSAGE_BYTES

Publish = tuple[int, bytes, bytes]
"""(packet id, topic, payload)."""

LARGEST_BUFFERED_BYTES: Final = 2 * MAX_MESSAGE_BYTES
"""A larger PUBLISH is not gathered in the buffer, which is copied with each chunk that is added."""

_TYPE_AND_QOS: Final = 0xF6  # of the first byte; the other bits are DUP and RETAIN
_PUBLISH_QOS_1: Final = 0x32
_PUBACK: Final = 0x4002_0000
_SHORTEST: Final = 5  # topic length, a topic of one byte, packet id


def take_publishes(unread: bytes, at: int) -> tuple[list[Publish], int, bool]:  # noqa: PLR0911 - the ways to stop
    """Return the QoS-1 PUBLISHes from `at` on, where what follows them begins, and whether to wait for more bytes.

    True means that what follows is a PUBLISH that has not arrived as a whole (or nothing); False, that it is
    another packet, or a PUBLISH that is malformed or too large to be gathered here.
    """
    publishes: list[Publish] = []
    end = len(unread)
    try:
        while at < end:
            if unread[at] & _TYPE_AND_QOS != _PUBLISH_QOS_1:
                return publishes, at, False
            body = at + 2
            length = unread[at + 1]
            shift = 7
            while length >> shift:  # the continuation bit of the byte added last
                if shift > 21:  # a fifth byte is malformed
                    return publishes, at, False
                length = length & (1 << shift) - 1 | unread[body] << shift
                body += 1
                shift += 7
            if length < _SHORTEST or length > LARGEST_BUFFERED_BYTES:
                return publishes, at, False
            stop = body + length
            if stop > end:
                return publishes, at, True
            topic = body + 2
            payload = topic + (unread[body] << 8 | unread[body + 1]) + 2
            if payload > stop or payload < body + _SHORTEST:
                return publishes, at, False
            packet_id = unread[payload - 2] << 8 | unread[payload - 1]
            if packet_id == 0:
                return publishes, at, False
            publishes.append((packet_id, unread[topic : payload - 2], unread[payload:stop]))
            at = stop
    except IndexError:  # the remaining length itself has not arrived
        pass
    return publishes, at, True


def pubacks(packet_ids: Sequence[int]) -> bytes:
    return pack(f">{len(packet_ids)}I", *[_PUBACK | packet_id for packet_id in packet_ids])


def publish_qos_0(topic: str, payload: bytes) -> bytes:
    name = topic.encode()
    length = 2 + len(name) + len(payload)
    if length < 0x80:  # as receipts are
        return bytes((0x30, length, 0, len(name))) + name + payload
    packet = bytearray(b"\x30")
    while True:
        length, digit = length >> 7, length & 0x7F
        packet.append(digit | 0x80 if length else digit)
        if not length:
            break
    return bytes(packet + len(name).to_bytes(2, "big") + name + payload)
