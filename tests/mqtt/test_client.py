"""paho as it comes, and paho with a buffer: the same from outside."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client

from service.mqtt.client import (
    MOST_UNSENT_BYTES,
    PAHO_INTERNALS,
    BufferedClient,
    PlainClient,
    best_client,
    changed_internals,
)
from service.mqtt.packets import LARGEST_BUFFERED_BYTES, Publish
from tests.mqtt.publisher import packet, publish_packet

CONNACK = b"\x20\x02\x00\x00"
LAST = publish_packet(65535, b"last", b"")
both = pytest.mark.parametrize("paho", [PlainClient, BufferedClient])


class Talk:
    """A client over TCP, a test at the other end."""

    def __init__(self, paho: type[PlainClient], listening: socket.socket) -> None:
        self.taken: list[Publish] = []
        self.client = paho("ingest-0", self.taken.extend, lambda topic, payload: self.taken.append((0, topic, payload)))
        self.client.connect_async(*listening.getsockname())
        probe = socket.create_connection(listening.getsockname())
        self.broker = listening.accept()[0]
        self.client.open(probe)
        if self.client.socket() is not probe:  # paho connects by itself
            self.broker.close()
            self.broker = listening.accept()[0]

    def hear(self, *chunks: bytes) -> list[Publish]:
        """Send the chunks, one at a time, and what ends them; return what the client took."""
        for chunk in [CONNACK, *chunks, LAST]:
            unsent = memoryview(chunk)
            while unsent:
                with suppress(BlockingIOError):
                    unsent = unsent[self.broker.send(unsent, socket.MSG_DONTWAIT) :]
                self.client.read()
        deadline = time.monotonic() + 20
        while (not self.taken or self.taken[-1][0] != 65535) and self.client.socket() is not None:
            assert time.monotonic() < deadline
            self.client.read()
        return [message for message in self.taken if message[0] != 65535]


@contextmanager
def talking(paho: type[PlainClient]) -> Iterator[Talk]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        talk = Talk(paho, listening)
        try:
            yield talk
        finally:
            talk.broker.close()
            talk.client.disconnect()
            talk.client.loop_write()


messages = st.tuples(st.integers(1, 65534), st.binary(min_size=1, max_size=40), st.binary(max_size=300))
packets = st.one_of(
    messages.map(lambda message: publish_packet(*message)),
    messages.map(lambda message: publish_packet(*message, 0x3A)),
    messages.map(lambda message: publish_packet(*message, 0x30)),
    st.just(b"\xd0\x00"),
    st.just(b"\x40\x02\x00\x05"),
    st.just(b"\xb0\x02\x00\x05"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(packets, max_size=12), st.lists(st.integers(0, 5000), max_size=12))
def test_with_a_buffer_paho_hears_exactly_what_it_hears_without(stream: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(stream)
    edges = [0, *sorted({cut % (len(whole) + 1) for cut in cuts}), len(whole)]
    chunks = [whole[begin:end] for begin, end in pairwise(edges)]
    heard = []
    for paho in (PlainClient, BufferedClient):
        with talking(paho) as talk:
            heard.append(talk.hear(*chunks))
            assert talk.client.socket() is not None
    assert heard[0] == heard[1]


@both
def test_a_topic_that_is_no_text_arrives_as_it_is(paho: type[PlainClient]) -> None:
    for topic in (b"pumps/v1/\xff\xfe/telemetry", b"pumps/\x00", b"\xed\xa0\x80"):
        with talking(paho) as talk:
            assert talk.hear(publish_packet(5, topic, b"\x00\xff")) == [(5, topic, b"\x00\xff")]


@both
def test_messages_larger_than_any_buffer_arrive_whole(paho: type[PlainClient]) -> None:
    sizes = [256 * 1024, LARGEST_BUFFERED_BYTES - 100, LARGEST_BUFFERED_BYTES, 3 * LARGEST_BUFFERED_BYTES]
    sent = [(number, b"pumps/v1/p/telemetry", bytes([number]) * size) for number, size in enumerate(sizes, 1)]
    with talking(paho) as talk:
        assert talk.hear(b"".join(publish_packet(*message) for message in sent)) == sent


@both
@pytest.mark.parametrize("violation", [b"\xf0\x00", packet(0x32, b"\x00"), b"\x32\xff\xff\xff\xff\xff"])
def test_a_broken_packet_ends_the_connection_and_raises_nothing(paho: type[PlainClient], violation: bytes) -> None:
    with talking(paho) as talk:
        assert talk.hear(publish_packet(5, b"before", b""), violation) == [(5, b"before", b"")]
        assert talk.client.socket() is None


@both
def test_a_connection_that_the_broker_closes_is_noticed(paho: type[PlainClient]) -> None:
    with talking(paho) as talk:
        assert talk.hear() == []
        talk.broker.close()
        deadline = time.monotonic() + 20
        while talk.client.socket() is not None:
            assert time.monotonic() < deadline
            talk.client.read()
        assert not talk.client.read()


@both
def test_pubacks_and_publishes_leave_in_the_order_in_which_they_were_given(paho: type[PlainClient]) -> None:
    with talking(paho) as talk:
        talk.hear()
        talk.client.send_pubacks([3, 1])
        assert talk.client.send_publish("receipts/v1/p", b"{}")
        talk.client.send_pubacks([2])
        talk.client.flush()
        talk.client.loop_write()
        expected = b"\x40\x02\x00\x03\x40\x02\x00\x01" + publish_packet(0, b"receipts/v1/p", b"{}", 0x30)
        expected += b"\x40\x02\x00\x02"
        talk.broker.settimeout(20)
        sent = b""
        while not sent.endswith(expected):  # after CONNECT
            sent += talk.broker.recv(4096)


def test_publishes_to_a_broker_that_does_not_read_are_refused_and_pubacks_are_not() -> None:
    with talking(BufferedClient) as talk:
        talk.hear()
        refused = False
        for _ in range(100_000):
            refused = not talk.client.send_publish("receipts/v1/p", bytes(1000))
            if refused:
                break
            talk.client.flush()
            talk.client.loop_write()
        assert refused
        talk.client.send_pubacks([1])
        assert MOST_UNSENT_BYTES < len(talk.client._outgoing) < MOST_UNSENT_BYTES + 2000


def test_bytes_that_pass_by_pahos_state_machine_count_as_life() -> None:
    with talking(BufferedClient) as talk:
        talk.hear()
        talk.client._last_bytes_received -= 1000
        talk.taken.clear()
        talk.hear(publish_packet(5, b"pumps/v1/p/telemetry", b"{}"))
        assert time.monotonic() - talk.client._last_bytes_received < 900


def test_paho_is_inside_as_the_buffered_client_expects_it() -> None:
    """If this fails, paho has changed: read the named methods anew, adapt BufferedClient, then the fingerprints."""
    assert changed_internals() == []
    assert best_client() is BufferedClient


def test_when_paho_changes_inside_the_inbox_falls_back_to_its_public_side_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class NewerPaho(Client):
        _packet_queue = None

        def _packet_read(self) -> int:
            return 0

    assert changed_internals(NewerPaho) == ["_packet_queue", "_packet_read"]
    with caplog.at_level(logging.WARNING):
        assert best_client(NewerPaho) is PlainClient
    assert "paho_not_as_expected" in caplog.text


def test_every_private_name_of_paho_that_is_used_is_watched() -> None:
    used = {
        name
        for name, method in vars(Client).items()
        if name.startswith("_") and not name.startswith("__") and callable(method)
    } & set().union(*(code.__code__.co_names for code in vars(BufferedClient).values() if hasattr(code, "__code__")))
    overridden = {name for name in vars(BufferedClient) if name in vars(Client) and not name.startswith("__")}
    assert used | overridden <= set(PAHO_INTERNALS)
