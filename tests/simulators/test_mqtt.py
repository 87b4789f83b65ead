"""What a pump says in MQTT is what the standard says, and what a broker says is understood however it arrives."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import mqtt
from simulators.mqtt import Decoder, Packet, PacketType, ProtocolError

# From the standard, section 3 (MQTT 3.1.1, OASIS, 2014), and encoded by hand.
CONNACK = b"\x20\x02\x00\x00"
PUBACK = b"\x40\x02\x12\x34"
SUBACK = b"\x90\x03\x00\x05\x00"
PINGRESP = b"\xd0\x00"
PUBLISH = b"\x30\x07\x00\x03a/bhi"
STREAM = CONNACK + PUBACK + SUBACK + PINGRESP + PUBLISH
PACKETS = [
    Packet(PacketType.CONNACK),
    Packet(PacketType.PUBACK, packet_id=0x1234),
    Packet(PacketType.SUBACK, packet_id=5),
    Packet(PacketType.PINGRESP),
    Packet(PacketType.PUBLISH, topic=b"a/b", payload=b"hi"),
]


def test_packets_are_written_as_the_standard_has_them() -> None:
    assert mqtt.connect("c1", 30) == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02c1"
    assert mqtt.connect("c", 30, "u", "pw") == b"\x10\x14\x00\x04MQTT\x04\xc2\x00\x1e\x00\x01c\x00\x01u\x00\x02pw"
    will = mqtt.Will(b"w", b"off")
    assert mqtt.connect("c", 30, will=will) == b"\x10\x15\x00\x04MQTT\x04\x2e\x00\x1e\x00\x01c\x00\x01w\x00\x03off"
    assert mqtt.publish(b"a/b", b"hi", 10) == b"\x32\x09\x00\x03a/b\x00\x0ahi"
    assert mqtt.publish(b"a/b", b"", 10, retain=True) == b"\x33\x07\x00\x03a/b\x00\x0a"
    assert mqtt.subscribe("a/+", 1) == b"\x82\x08\x00\x01\x00\x03a/+\x00"


@pytest.mark.parametrize(("size", "head"), [(120, b"\x7f"), (121, b"\x80\x01"), (262_144, b"\x87\x80\x10")])
def test_the_length_of_a_packet_takes_as_many_bytes_as_it_needs(size: int, head: bytes) -> None:
    packet = mqtt.publish(b"a/b", b"x" * size, 10)

    assert packet[1 : 1 + len(head)] == head
    assert len(packet) == 1 + len(head) + 7 + size


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_what_the_broker_says_is_cut_into_packets_however_it_arrives(cuts: list[int]) -> None:
    decoder = Decoder()
    ends = sorted({0, len(STREAM), *cuts})

    packets = [packet for a, b in itertools.pairwise(ends) for packet in decoder.feed(STREAM[a:b])]

    assert packets == PACKETS


def test_a_long_message_is_read() -> None:
    body = b"\x00\x01t" + b"x" * 70_000
    [packet] = Decoder().feed(b"\x30" + b"\xf3\xa2\x04" + body)

    assert packet.payload == b"x" * 70_000


@pytest.mark.parametrize(
    "received",
    [
        b"\x40\xff\xff\xff\xff\x01",
        b"\x10\x00",
        b"\x40\x01\x00",
        b"\x20\x00",
        b"\x32\x07\x00\x01t\x00\x01hi",
        b"\x00\x00",
    ],
)
def test_what_no_broker_may_say_ends_the_connection(received: bytes) -> None:
    with pytest.raises(ProtocolError):
        Decoder().feed(received)


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waited_for_and_never_breaks_anything_else(noise: bytes) -> None:
    try:
        Decoder().feed(noise)
    except ProtocolError:
        return
