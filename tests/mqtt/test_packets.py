"""PUBLISH and PUBACK as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mqtt.packets import LARGEST_BUFFERED_BYTES, Publish, pubacks, publish_qos_0, take_publishes
from tests.mqtt.publisher import packet, publish_packet

publishes = st.lists(st.tuples(st.integers(1, 65535), st.binary(min_size=1, max_size=200), st.binary(max_size=20_000)))
ENOUGH = publish_packet(1, b"pumps/v1/p/telemetry", b"{}")


def stream_of(messages: list[Publish], first: int = 0x32) -> bytes:
    return b"".join(publish_packet(*message, first) for message in messages)


@given(publishes, st.sampled_from([0x32, 0x33, 0x3A, 0x3B]))
def test_what_was_packed_is_taken_whatever_dup_and_retain_say(messages: list[Publish], first: int) -> None:
    stream = stream_of(messages, first)
    assert take_publishes(stream, 0) == (messages, len(stream), True)


@given(publishes, st.data())
def test_a_packet_cut_anywhere_waits_for_its_end(messages: list[Publish], draw: st.DataObject) -> None:
    stream = stream_of(messages)
    cut = draw.draw(st.integers(0, len(stream)))
    taken, at, wait = take_publishes(stream[:cut], 0)
    assert wait
    assert at <= cut
    assert taken == messages[: len(taken)]
    assert take_publishes(stream, at) == (messages[len(taken) :], len(stream), True)


@given(st.binary(max_size=64))
def test_no_bytes_are_too_odd_and_none_are_taken_twice(stream: bytes) -> None:
    taken, at, _ = take_publishes(stream, 0)
    assert 0 <= at <= len(stream)
    assert sum(len(topic) + len(payload) for _, topic, payload in taken) <= at


@pytest.mark.parametrize(
    "other",
    [
        b"\xd0\x00",
        b"\x20\x02\x00\x00",
        publish_packet(0, b"pumps/v1/p/telemetry", b"{}", 0x30),
        publish_packet(7, b"pumps/v1/p/telemetry", b"{}", 0x34),
        publish_packet(0, b"pumps/v1/p/telemetry", b"{}"),
        publish_packet(7, b"", b"{}"),
        packet(0x32, b""),
        packet(0x32, b"\x00\x01"),
        packet(0x32, b"\x00\x09pumps\x00\x07"),
        b"\x32\x80\x80\x80\x80\x01",
        b"\x32\xff\xff\xff\xff\xff",
        publish_packet(7, b"pumps/v1/p/telemetry", bytes(LARGEST_BUFFERED_BYTES)),
    ],
    ids=[
        "pingresp", "connack", "qos_0", "qos_2", "id_0", "no_topic", "empty", "too_short", "topic_too_long",
        "length_of_5_bytes", "length_without_end", "too_large",
    ],
)  # fmt: skip
def test_every_other_packet_is_left_to_paho_from_its_first_byte(other: bytes) -> None:
    messages, at, wait = take_publishes(ENOUGH + other + ENOUGH, 0)
    assert [message[0] for message in messages] == [1]
    assert (at, wait) == (len(ENOUGH), False)


def test_pubacks_are_four_bytes_each_in_the_order_given() -> None:
    assert pubacks([1, 65535, 258]) == b"\x40\x02\x00\x01\x40\x02\xff\xff\x40\x02\x01\x02"
    assert pubacks([]) == b""


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 2_097_152])
def test_a_message_of_any_size_is_published_as_the_standard_says(size: int) -> None:
    assert publish_qos_0("receipts/v1/pämpe", bytes(size)) == publish_packet(
        0, "receipts/v1/pämpe".encode(), bytes(size), 0x30
    )
