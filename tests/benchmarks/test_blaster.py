"""The blaster publishes what a fleet might, and counts what the broker settled."""

import asyncio
import time

import numpy as np
import pytest

from service.core.decode import decode
from service.core.reading import boot_of, seq_of
from service.mqtt.packets import take_publishes
from service.ports import RawMessage, Token
from tests.benchmarks.blaster import blast, payloads
from tests.benchmarks.long_messages import JSON, MESSAGEPACK, packets_of
from tests.mqtt.inboxes import drain_count, inbox_at
from tests.mqtt.scripted import Peer, scripted_broker
from tests.servers import MosquittoServer


def test_every_message_is_valid_telemetry_of_a_dense_sequence_that_ends_about_now() -> None:
    now_ms = int(time.time() * 1000)
    messages = [RawMessage(Token(1, 1), topic, payload, now_ms) for topic, payload in payloads(5000, pumps=50)]
    decoded = decode(messages, {b"p%06d" % pump: pump for pump in range(50)})
    assert decoded.rejections == []
    assert decoded.unknown_pumps == {}
    assert decoded.simulated.all()
    items = decoded.items
    for pump in range(50):
        own = items[items["pump"] == pump]
        assert [seq_of(position) for position in own["position"].tolist()] == list(range(100))
        assert {boot_of(position) for position in own["position"].tolist()} == {1}
        assert (np.diff(own["device_ms"]) == 60_000).all()
        assert -120_000 <= own["device_ms"][-1] - now_ms <= 1000


@pytest.mark.parametrize("form", [JSON, MESSAGEPACK])
@pytest.mark.parametrize("readings", [1, 6, 60])
def test_a_message_of_many_readings_says_the_same_in_either_form(form: str, readings: int) -> None:
    now_ms, pumps = int(time.time() * 1000), np.arange(5)
    block = packets_of(readings, form)(0, 15, pumps=pumps, newest_seq=3, now_ms=now_ms, boot=2)
    publishes, at, waits = take_publishes(block.tobytes(), 0)
    assert (len(publishes), at, waits) == (15, block.size, True)
    messages = [RawMessage(Token(1, packet_id), topic, payload, now_ms) for packet_id, topic, payload in publishes]
    decoded = decode(messages, {b"p%06d" % pump: pump for pump in range(5)})
    assert (decoded.rejections, decoded.unknown_pumps) == ([], {})
    assert decoded.simulated.all()
    for pump in range(5):
        own = decoded.items[decoded.items["pump"] == pump]
        assert [seq_of(position) for position in own["position"].tolist()] == list(range(3 * readings))
        assert (np.diff(own["device_ms"]) == 60_000).all()
        assert set(own["reservoir_ml"].tolist()) == {float(np.float32(17.93))}


async def test_all_of_it_arrives_and_is_counted(mosquitto_server: MosquittoServer) -> None:
    async with inbox_at(mosquitto_server.url, "pumps") as inbox:
        came_of_it = await asyncio.to_thread(
            blast, mosquitto_server.url, 3001, connections=3, window=99, pumps=7, boot=9
        )
        assert (came_of_it.sent, came_of_it.settled) == (3001, 3001)
        assert came_of_it.messages_a_second > 0
        messages = await drain_count(inbox, 3001)
        assert len({(message.topic, message.payload) for message in messages}) == 3001
        assert all(b'{"boot":      9, ' in message.payload for message in messages)
        inbox.settle([message.token for message in messages])
        await inbox.close()


async def test_it_ends_in_time_and_within_its_window_when_the_broker_settles_nothing() -> None:
    async def slow(peer: Peer) -> None:
        await peer.accept()
        await peer.reader.read(-1)

    async with scripted_broker(slow) as (url, _):
        came_of_it = await asyncio.to_thread(blast, url, 10_000, connections=2, window=50, within_s=0.3)
        assert (came_of_it.sent, came_of_it.settled) == (100, 0)


def test_it_feeds_brokers_on_this_machine_only() -> None:
    with pytest.raises(ValueError, match="on this machine only"):
        blast("mqtt://192.0.2.1:1883", 1)
    with pytest.raises(ValueError, match="10,000 messages a pump"):
        blast("mqtt://127.0.0.1:1883", 100_000, pumps=5)
