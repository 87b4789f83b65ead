"""The inbox over many connections: what happens when brokers die, forget, overflow or misbehave."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex

import pytest
import uvloop

from service.embedded.child import LOOPBACK
from service.embedded.nats import NatsServer
from service.mqtt.arrivals import next_retry_s
from service.mqtt.inbox import MqttInbox
from service.ports import RawMessage
from tests.benchmarks.blaster import blast
from tests.mqtt.inboxes import connected, counted, drain_count, drained, inbox_at
from tests.mqtt.publisher import publish, publish_packet
from tests.mqtt.scripted import Peer, polite, scripted_broker
from tests.servers import MosquittoServer, eventually

TOPIC = b"pumps/v1/p1/telemetry"
Broker = NatsServer | MosquittoServer


@pytest.fixture(params=["nats", "mosquitto"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """A broker of the test's own."""
    found: Broker = request.getfixturevalue({"nats": "impatient_nats", "mosquitto": "mosquitto_server"}[request.param])
    return found


@pytest.fixture
def impatient_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """What a connection left unsettled comes again only after this time, and not with the next connection."""
    server = NatsServer(tmp_path / "nats", ack_wait="2s")
    server.start()
    yield server
    server.stop()


def payloads(messages: list[RawMessage]) -> list[bytes]:
    return [message.payload for message in messages]


def lines(caplog: pytest.LogCaptureFixture, event: str) -> int:
    return Counter(record.message for record in caplog.records)[event]


@pytest.mark.parametrize("client_id", ["", "ingest.0"])
def test_a_client_id_that_nats_would_refuse_is_refused(client_id: str) -> None:
    with pytest.raises(ValueError, match="client id"):
        MqttInbox("mqtt://h", client_id, ["#"], marker_topic="m", clock=None, metrics=None)  # type: ignore[arg-type]


async def test_a_broker_that_is_down_at_start_is_one_line_in_the_log_and_found_when_it_is_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = NatsServer(tmp_path / "nats")
    server.start()
    server.stop()
    with caplog.at_level(logging.INFO):
        async with inbox_at(server.url, "pumps", wait=False) as inbox:
            refused = f"broker {LOOPBACK}:{server.mqtt_port}: connection refused"
            await eventually(lambda: inbox.problem == refused)
            inbox.publish([("receipts/v1/p1", b"{}")])
            assert counted(inbox, "publishes_dropped") == 1
            assert inbox.marker_seen_at is None
            server.start()
            await connected(inbox)
            assert inbox.connection == 1
            assert lines(caplog, "broker_connection_ended") == 1
            assert lines(caplog, "broker_connected") == 1
    server.stop()


async def test_after_the_brokers_death_its_messages_come_again_under_new_names(
    impatient_nats: NatsServer,
) -> None:
    # A server that had written down what it waits for waits for it again after its restart: for a whole ack_wait.
    async with inbox_at(impatient_nats.url, "pumps") as inbox:
        await publish(impatient_nats.url, [(TOPIC, b"%d" % number) for number in range(20)])
        before = await drain_count(inbox, 20)
        inbox.settle([message.token for message in before[:5]])
        impatient_nats.kill()
        await eventually(lambda: "connection" in inbox.problem)
        inbox.settle([message.token for message in before[5:]])
        assert counted(inbox, "tokens_forgotten", reason="earlier_connection") == 15
        await asyncio.to_thread(impatient_nats.start)
        await connected(inbox, 2)
        assert inbox.session_present is True
        assert inbox.sessions_lost == 0
        again = await drained(inbox, lambda messages: len(set(payloads(messages))) >= 15)
        assert {b"%d" % number for number in range(5, 20)} <= set(payloads(again))
        assert {message.token.connection for message in again} == {2}


async def test_a_session_that_the_broker_forgot_is_reported_and_made_anew(
    mosquitto_server: MosquittoServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with inbox_at(mosquitto_server.url, "pumps") as inbox:
        await publish(mosquitto_server.url, [(TOPIC, b"held over the loss")])
        await eventually(lambda: inbox.held_messages == 1)
        mosquitto_server.kill()
        await asyncio.to_thread(mosquitto_server.start)
        await connected(inbox, 2)
        assert inbox.session_present is False
        assert inbox.sessions_lost == 1
        assert counted(inbox, "broker_sessions_lost") == 1
        assert lines(caplog, "broker_session_lost") == 1
        assert payloads(await drain_count(inbox, 1)) == [b"held over the loss"]
        await publish(mosquitto_server.url, [(TOPIC, b"after")])
        assert payloads(await drain_count(inbox, 1)) == [b"after"]


async def test_a_session_of_an_earlier_process_that_is_gone_is_reported_too(mosquitto_url: str) -> None:
    async with inbox_at(mosquitto_url, f"pumps/{token_hex(4)}", session_recorded=True) as inbox:
        assert inbox.sessions_lost == 1


async def test_what_nats_sends_again_while_it_is_pending_is_settled_once_and_costs_no_other_message(
    impatient_nats: NatsServer,
) -> None:
    """NATS 2.14.0 starts packet ids anew when nothing is pending: a second PUBACK would eat the next message."""
    url = impatient_nats.url
    async with inbox_at(url, "pumps", client_id="ingest-0") as inbox:
        await publish(url, [(TOPIC, b"x%d" % number) for number in range(3)])
        first = await drain_count(inbox, 3)
        await eventually(lambda: counted(inbox, "messages_discarded", reason="pending_already") >= 3)
        tokens = [message.token for message in first]
        inbox.settle(tokens)
        assert counted(inbox, "settled") == 3
        await publish(url, [(TOPIC, b"y%d" % number) for number in range(3)])
        await eventually(lambda: inbox.held_messages == 3)
        inbox.settle(tokens)  # too late, and under ids that y0 to y2 may have now
        assert counted(inbox, "tokens_forgotten", reason="unknown") == 3
        assert inbox.held_messages == 3
    async with inbox_at(url, "pumps", client_id="ingest-0") as inbox:
        assert payloads(await drain_count(inbox, 3)) == [b"y0", b"y1", b"y2"]


async def test_other_bytes_under_a_pending_id_cost_the_connection_and_no_message() -> None:
    async def confused(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe()
        await peer.send(publish_packet(1, TOPIC, b"x") + publish_packet(1, TOPIC, b"x"))
        await peer.send(publish_packet(1, TOPIC, b"y") + publish_packet(2, TOPIC, b"z"))
        await peer.serve()

    async def recovered(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe()
        await peer.send(publish_packet(1, TOPIC, b"y", 0x3A) + publish_packet(2, TOPIC, b"z", 0x3A))
        await peer.serve()

    async with scripted_broker(confused, recovered) as (url, peers), inbox_at(url, "pumps", wait=False) as inbox:
        await connected(inbox, 2)
        messages = await drain_count(inbox, 3)
        assert [(message.token.connection, message.payload) for message in messages] == [
            (1, b"x"),
            (2, b"y"),
            (2, b"z"),
        ]
        inbox.settle([message.token for message in messages])
        await eventually(lambda: peers[1].puback_ids == [1, 2])
        assert peers[0].puback_ids == []
        assert counted(inbox, "messages_discarded", reason="pending_already") == 1
        assert counted(inbox, "tokens_forgotten", reason="earlier_connection") == 1


async def test_pubacks_leave_in_the_order_of_arrival() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe()
        for packet_id in (5, 9, 2, 7):
            await peer.publish(packet_id, TOPIC, b"")
        await peer.serve()

    async with scripted_broker(script) as (url, peers), inbox_at(url, "pumps") as inbox:
        tokens = {message.token.packet_id: message.token for message in await drain_count(inbox, 4)}
        inbox.settle([tokens[7], tokens[9]])
        inbox.settle([tokens[5]])
        await eventually(lambda: peers[-1].puback_ids == [5, 9])
        inbox.settle([tokens[2]])
        await eventually(lambda: peers[-1].puback_ids == [5, 9, 2, 7])


async def test_messages_cut_anywhere_on_their_way_arrive_whole() -> None:
    sent = [bytes([number]) * size for number, size in enumerate((0, 1, 200, 65_536, 256 * 1024, 3))]

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe()
        stream = b"".join(publish_packet(number, TOPIC, payload) for number, payload in enumerate(sent, 1))
        at = 0
        for size in [*[1] * 300, *[7] * 100, *[65_535] * 10]:
            await peer.send(stream[at : at + size])
            await asyncio.sleep(0)
            at += size
        await peer.serve()

    async with scripted_broker(script) as (url, _), inbox_at(url, "pumps") as inbox:
        assert payloads(await drain_count(inbox, len(sent))) == sent


def test_it_waits_twice_as_long_after_each_short_life_and_at_most_ten_seconds() -> None:
    waits_s = [next_retry_s(0.0, 0.0)]
    while len(waits_s) < 9:
        waits_s.append(next_retry_s(waits_s[-1], 1.0))
    assert waits_s == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert next_retry_s(10.0, 11.0) == 0.1


async def test_a_broker_that_hangs_up_again_and_again_is_tried_again_and_again() -> None:
    async def rude(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe()

    async with scripted_broker(rude) as (url, peers), inbox_at(url, "pumps", wait=False) as inbox:
        await eventually(lambda: len(peers) == 4)
        assert inbox.connection >= 3


async def test_more_than_may_be_held_stays_in_the_socket_for_a_while_and_each_comes_once(mosquitto_url: str) -> None:
    count, root = 20_000, f"pumps/{token_hex(4)}"
    async with inbox_at(mosquitto_url, root, max_held_messages=1000) as inbox:
        await publish(mosquitto_url, [(f"{root}/p{number}".encode(), bytes(100)) for number in range(count)])
        await eventually(lambda: inbox.held_messages > 1000)
        heard: list[bytes] = []
        async with asyncio.timeout(60):
            while len(heard) < count:
                messages = await inbox.drain(100, 1.0)
                assert inbox.held_messages < count / 2, "as much as one read brings, not all that there is"
                inbox.settle([message.token for message in messages])
                heard += [message.topic for message in messages]
        assert inbox.connection == 1
        assert len(set(heard)) == count


async def test_more_than_may_be_held_for_long_is_refused_by_disconnecting_and_comes_when_there_is_room(
    broker: Broker,
) -> None:
    async with inbox_at(broker.url, "pumps", max_held_messages=1000, pause_at_most_s=0.1) as inbox:
        await asyncio.to_thread(blast, broker.url, 5000, connections=2, window=1000, pumps=50)
        await eventually(lambda: "until less is held" in inbox.problem)
        assert 500 < inbox.held_messages <= 5000
        assert inbox.connection == 1
        heard: set[tuple[bytes, bytes]] = set()
        async with asyncio.timeout(60):
            while len(heard) < 5000:
                messages = await inbox.drain(500, 1.0)
                inbox.settle([message.token for message in messages])
                heard |= {(message.topic, message.payload) for message in messages}
        assert inbox.connection > 1
        await eventually(lambda: inbox.held_messages == 0)


async def test_payload_bytes_are_bounded_too(mosquitto_url: str) -> None:
    root = f"pumps/{token_hex(4)}"
    async with inbox_at(mosquitto_url, root, max_held_bytes=1_000_000, pause_at_most_s=0.1) as inbox:
        sent = [(f"{root}/p1".encode(), bytes([number]) * 100_000) for number in range(20)]
        await publish(mosquitto_url, sent)
        await eventually(lambda: "until less is held" in inbox.problem)
        assert inbox.held_bytes <= 2_000_000
        heard: set[bytes] = set()
        async with asyncio.timeout(30):
            while len(heard) < 20:
                messages = await inbox.drain(3, 1.0)
                inbox.settle([message.token for message in messages])
                heard |= set(payloads(messages))


async def test_under_load_batches_are_large(broker: Broker) -> None:
    async with inbox_at(broker.url, "pumps") as inbox:
        blasting = asyncio.create_task(asyncio.to_thread(blast, broker.url, 20_000, pumps=100))
        batches = 0

        def enough(messages: list[RawMessage]) -> bool:
            nonlocal batches
            batches += 1
            return len(messages) == 20_000

        messages = await drained(inbox, enough)
        inbox.settle([message.token for message in messages])
        assert (await blasting).settled == 20_000
        assert batches < 20_000 / 20
        in_order: dict[bytes, int] = Counter()
        for message in messages:
            assert b'"seq": %4d,' % in_order[message.topic] in message.payload
            in_order[message.topic] += 1


async def test_a_graceful_close_settles_all_that_was_settled(broker: Broker) -> None:
    for _ in range(3):
        async with inbox_at(broker.url, "pumps", client_id="ingest-0") as inbox:
            assert inbox.held_messages == 0
            blasting = asyncio.create_task(asyncio.to_thread(blast, broker.url, 3000))
            messages = await drain_count(inbox, 3000)
            await blasting
            inbox.settle([message.token for message in messages])
            await inbox.close()
            assert inbox.problem == "closed"
    async with inbox_at(broker.url, "pumps", client_id="ingest-0") as inbox:
        assert await inbox.drain(10, 2.5 if isinstance(broker, NatsServer) else 0.5) == []


async def test_closing_before_it_ever_connected_is_quick_and_closing_twice_is_nothing() -> None:
    async with scripted_broker(polite) as (url, _):
        pass
    async with inbox_at(url, "pumps", wait=False) as inbox:
        await inbox.close()
        await inbox.close()
        assert inbox.problem == "closed"
        assert await inbox.drain(10, 0.0) == []


def journey(url: str) -> Callable[[], object]:
    async def there_and_back() -> list[bytes]:
        root = f"pumps/{token_hex(4)}"
        async with inbox_at(url, root) as inbox:
            await publish(url, [(f"{root}/p1".encode(), b"%d" % number) for number in range(200)])
            messages = await drain_count(inbox, 200)
            inbox.settle([message.token for message in messages])
            inbox.send_marker()
            await eventually(lambda: inbox.marker_seen_at is not None)
            await inbox.close()
            return payloads(messages)

    return lambda: uvloop.run(there_and_back())


async def test_it_runs_on_uvloop(nats_url: str, mosquitto_url: str) -> None:
    for url in (nats_url, mosquitto_url):
        assert await asyncio.to_thread(journey(url)) == [b"%d" % number for number in range(200)]
