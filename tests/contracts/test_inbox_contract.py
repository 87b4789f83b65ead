"""What any Inbox does, on each broker, with the buffered paho and with the plain one."""

import asyncio
from collections.abc import Iterator
from secrets import token_hex

import pytest

from service.embedded.nats import NatsServer
from service.mqtt.client import BufferedClient, PlainClient
from tests.mqtt.inboxes import connected, counted, drain_count, inbox_at, take_over
from tests.mqtt.publisher import Message, publish
from tests.servers import eventually

LARGEST = 256 * 1024


@pytest.fixture(scope="module")
def impatient_nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """NATS sends again what is not settled after a while, and not at once when a session comes back."""
    server = NatsServer(tmp_path_factory.mktemp("impatient"), ack_wait="1s")
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(params=["nats", "mosquitto"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue({"nats": "impatient_nats_url", "mosquitto": "mosquitto_url"}[request.param])
    return found


@pytest.fixture(params=[BufferedClient, PlainClient], ids=["buffered", "plain"])
def paho(request: pytest.FixtureRequest) -> type[PlainClient]:
    client: type[PlainClient] = request.param
    return client


@pytest.fixture
def root() -> str:
    return f"pumps/{token_hex(4)}"


def numbered(root: str, count: int) -> list[Message]:
    return [(f"{root}/p{number % 7}/telemetry".encode(), b"%d" % number) for number in range(count)]


async def test_what_is_published_is_drained_in_order_and_as_it_was(
    url: str, paho: type[PlainClient], root: str
) -> None:
    sent = numbered(root, 1500)
    sent[10:10] = [(f"{root}/påmpe/telemetry".encode(), bytes(range(256))), (f"{root}/p/event".encode(), b"")]
    sent[500:500] = [(f"{root}/p/telemetry".encode(), bytes([number]) * LARGEST) for number in range(5)]
    async with inbox_at(url, root, paho=paho) as inbox:
        await publish(url, sent)
        messages = await drain_count(inbox, len(sent))
        assert [(message.topic, message.payload) for message in messages] == sent
        assert {message.token.connection for message in messages} == {1}
        assert len({message.token for message in messages}) == len(sent)
        assert inbox.held_messages == len(sent)
        inbox.settle([message.token for message in messages])
        assert (inbox.held_messages, inbox.held_bytes) == (0, 0)
        assert counted(inbox, "settled") == len(sent)


async def test_what_is_not_settled_comes_again_in_order_and_what_is_settled_does_not(
    url: str, paho: type[PlainClient], root: str
) -> None:
    sent = numbered(root, 6)
    async with inbox_at(url, root, paho=paho, client_id=f"ingest-{root[6:]}") as inbox:
        assert inbox.session_present is False
        await publish(url, sent)
        messages = await drain_count(inbox, 6)
        inbox.settle([messages[1].token, messages[0].token, messages[3].token])  # 3 waits for 2
        await inbox.close()
    async with inbox_at(url, root, paho=paho, client_id=f"ingest-{root[6:]}", session_recorded=True) as inbox:
        assert inbox.session_present is True
        assert inbox.sessions_lost == 0
        again = await drain_count(inbox, 4)
        assert [message.payload for message in again] == [b"2", b"3", b"4", b"5"]
        inbox.settle([message.token for message in again])
        await inbox.close()
    async with inbox_at(url, root, paho=paho, client_id=f"ingest-{root[6:]}") as inbox:
        assert await inbox.drain(10, 1.5) == []


async def test_tokens_of_an_earlier_connection_settle_nothing(url: str, paho: type[PlainClient], root: str) -> None:
    client_id = f"ingest-{root[6:]}"
    async with inbox_at(url, root, paho=paho, client_id=client_id) as inbox:
        await publish(url, numbered(root, 3))
        stale = [message.token for message in await drain_count(inbox, 3)]
        await take_over(url, client_id)
        await connected(inbox, 2)
        inbox.settle(stale)
        assert counted(inbox, "tokens_forgotten", reason="earlier_connection") == 3
        again = await drain_count(inbox, 3)
        assert [message.payload for message in again] == [b"0", b"1", b"2"]
        assert {message.token.connection for message in again} == {2}
        inbox.settle(stale)  # whatever packet ids the broker uses now
        assert inbox.held_messages == 3
        inbox.settle([message.token for message in again])
        assert inbox.held_messages == 0


async def test_drain_waits_as_long_as_it_may_and_wakes_when_something_comes(
    url: str, paho: type[PlainClient], root: str
) -> None:
    async with inbox_at(url, root, paho=paho) as inbox:
        assert await inbox.drain(10, 0.01) == []
        waiting = asyncio.create_task(inbox.drain(10, 3600))
        await publish(url, numbered(root, 1))
        async with asyncio.timeout(20):
            assert [message.payload for message in await waiting] == [b"0"]


async def test_what_the_inbox_publishes_reaches_who_listens(url: str, paho: type[PlainClient], root: str) -> None:
    async with inbox_at(url, root, paho=paho) as inbox, inbox_at(url, f"receipts/{root}") as pump:
        for number in range(300):
            inbox.publish([(f"receipts/{root}/p1", b"%d" % number)])
        receipts = await drain_count(pump, 300)
        assert [message.payload for message in receipts] == [b"%d" % number for number in range(300)]
        pump.settle([message.token for message in receipts])
        assert pump.held_messages == 0
        assert counted(pump, "tokens_forgotten", reason="unknown") == 0


async def test_a_marker_is_seen_once_all_that_arrived_before_it_is_settled(
    url: str, paho: type[PlainClient], root: str
) -> None:
    async with inbox_at(url, root, paho=paho) as inbox:
        assert inbox.marker_seen_at is None
        inbox.send_marker()
        await eventually(lambda: inbox.marker_seen_at is not None)
        first = inbox.marker_seen_at
        await publish(url, numbered(root, 1))
        [message] = await drain_count(inbox, 1)
        inbox.send_marker()
        inbox.publish([(f"{root}/p1/after", b"")])  # behind the marker, on the same way
        await drain_count(inbox, 1)
        assert inbox.marker_seen_at == first
        inbox.settle([message.token])
        assert inbox.marker_seen_at is not None
        assert first is not None
        assert inbox.marker_seen_at > first
        await inbox.close()
        assert inbox.marker_seen_at is None
