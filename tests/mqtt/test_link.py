"""One connection, with brokers that keep to the protocol or do not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest

from service.mqtt.client import BufferedClient, PlainClient
from service.mqtt.connecting import broker_of
from service.mqtt.link import Link
from service.mqtt.packets import Publish
from tests.mqtt.publisher import text
from tests.mqtt.scripted import Peer, Script, polite, scripted_broker
from tests.servers import eventually

TOPIC = b"pumps/v1/p1/telemetry"


class Notes:
    """A listener that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.publishes: list[Publish] = []

    def on_accepted(self, *, session_present: bool) -> None:
        self.told.append(f"accepted, session present: {session_present}")

    def on_subscribed(self) -> None:
        self.told.append("subscribed")

    def on_publishes(self, publishes: list[Publish]) -> None:
        self.publishes += publishes

    def on_qos_0(self, topic: bytes, payload: bytes) -> None:
        self.publishes.append((0, topic, payload))

    def on_ended(self) -> None:
        self.told.append("ended")


@pytest.fixture(params=[BufferedClient, PlainClient], ids=["buffered", "plain"])
def paho(request: pytest.FixtureRequest) -> type[PlainClient]:
    client: type[PlainClient] = request.param
    return client


@asynccontextmanager
async def linked(
    paho: type[PlainClient], script: Script, *, keepalive_s: int = 60, login: str = ""
) -> AsyncIterator[tuple[Link, Notes, "asyncio.Task[str]", Callable[[], Peer]]]:
    async with scripted_broker(script) as (url, peers):
        broker = broker_of(url.replace("mqtt://", f"mqtt://{login}"))
        notes = Notes()
        link = Link(paho, broker, "ingest-0", [("pumps/v1/+/+", 1), ("marker", 0)], notes, keepalive_s)
        living = asyncio.create_task(link.live())
        yield link, notes, living, lambda: peers[-1]
        living.cancel()
        await asyncio.wait([living])


async def reason_of(living: "asyncio.Task[str]") -> str:
    async with asyncio.timeout(20):
        return (await living).partition(": ")[2]


async def test_a_connection_is_accepted_subscribed_used_and_left(paho: type[PlainClient]) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(session_present=True)
        await peer.subscribe()
        await peer.publish(7, TOPIC, b"one")
        await peer.publish(0, b"marker", b"", 0x30)
        await peer.serve()

    async with linked(paho, script) as (link, notes, living, peer):
        await eventually(lambda: len(notes.publishes) == 2)
        assert notes.told == ["accepted, session present: True", "subscribed"]
        assert notes.publishes == [(7, TOPIC, b"one"), (0, b"marker", b"")]
        link.settle([7])
        assert link.publish([("receipts/v1/p1", b"{}")])
        link.leave("closed")
        assert not link.publish([("receipts/v1/p1", b"{}")])
        assert await reason_of(living) == "closed"
        assert notes.told[-1] == "ended"
        assert peer().puback_ids == [7]
        assert not link.publish([("receipts/v1/p1", b"{}")])


async def test_name_and_password_of_the_url_are_presented(paho: type[PlainClient]) -> None:
    login = f"{quote('ing@st', safe='')}:{quote('p/ss:word', safe='')}@"
    async with linked(paho, polite, login=login) as (_, notes, _, peer):
        await eventually(lambda: "subscribed" in notes.told)
        assert peer().connect == (
            b"\x00\x04MQTT\x04\xc0\x00\x3c" + text(b"ingest-0") + text(b"ing@st") + text(b"p/ss:word")
        )


@pytest.mark.parametrize(
    ("answer", "reason"), [(1, "unsupported protocol version"), (3, "server unavailable"), (5, "not authorized")]
)
async def test_a_refused_connection_says_why(paho: type[PlainClient], answer: int, reason: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(session_present=False, answer=answer)
        await peer.serve()

    async with linked(paho, script) as (_, notes, living, _):
        told = await reason_of(living)
        # paho itself ends a connection with an unsupported version, before it tells why.
        assert told == reason or answer == 1
        assert notes.told == ["ended"]


async def test_a_refused_subscription_says_which(paho: type[PlainClient]) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe(granted=0x80)
        await peer.serve()

    async with linked(paho, script) as (_, notes, living, _):
        assert await reason_of(living) == "subscription refused: pumps/v1/+/+, marker"
        assert "subscribed" not in notes.told


async def test_a_message_before_connack_is_not_taken(paho: type[PlainClient]) -> None:
    async def script(peer: Peer) -> None:
        await peer.publish(7, TOPIC, b"too early")
        await polite(peer)

    async with linked(paho, script) as (_, notes, living, _):
        assert await reason_of(living) == "sent a message before CONNACK"
        assert notes.publishes == []


async def test_nothing_is_taken_after_the_decision_to_leave(paho: type[PlainClient]) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe()
        for packet_id in range(1, 100):
            await peer.publish(packet_id, TOPIC, b"")
        await peer.serve()

    async with linked(paho, script) as (link, notes, living, _):
        notes.on_publishes = lambda publishes: (notes.publishes.extend(publishes), link.leave("enough"))[0]  # type: ignore[method-assign]
        assert await reason_of(living) == "enough"
        taken = len(notes.publishes)
        assert 0 < taken <= 99


@pytest.mark.parametrize("bytes_sent", [b"\xff\xff\xff\xff\xff\xff", b"\x32\x02\x00\x09", b"\x20\x00", b"\xf0\x00"])
async def test_what_is_no_mqtt_ends_the_connection_and_raises_nothing(
    paho: type[PlainClient], bytes_sent: bytes
) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe()
        await peer.send(bytes_sent)
        await peer.serve()

    async with linked(paho, script) as (_, notes, living, _):
        assert await reason_of(living)
        assert notes.told[-1] == "ended"


async def test_a_broker_that_falls_silent_is_left(paho: type[PlainClient]) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe()
        await peer.reader.read(-1)  # and answers no PINGREQ

    async with linked(paho, script, keepalive_s=1) as (_, notes, living, _):
        assert await reason_of(living) == "keep alive timeout"
        assert notes.told[-1] == "ended"


async def test_a_backlog_before_the_answers_to_subscribe_and_ping_is_no_silence(
    paho: type[PlainClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.mqtt.link.ACCEPTED_WITHIN_S", 1.0)

    async def script(peer: Peer) -> None:
        await peer.accept()
        for packet_id in range(1, 40):  # slower than both deadlines, and no gap as long as either
            await peer.publish(packet_id, TOPIC, b"")
            await asyncio.sleep(0.1)
        await peer.subscribe()
        await peer.serve()

    async with linked(paho, script, keepalive_s=1) as (link, notes, living, _):

        def settle(publishes: list[Publish]) -> None:
            notes.publishes += publishes
            asyncio.get_running_loop().call_soon(link.settle, [packet_id for packet_id, _, _ in publishes])

        notes.on_publishes = settle  # type: ignore[method-assign]
        await eventually(lambda: "subscribed" in notes.told)
        assert len(notes.publishes) == 39
        link.leave("closed")
        assert await reason_of(living) == "closed"


async def test_what_comes_during_a_pause_stays_where_it_is(paho: type[PlainClient]) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe()
        for packet_id in range(1, 1000):
            await peer.publish(packet_id, TOPIC, bytes(1000))
        await peer.serve()

    async with linked(paho, script) as (link, notes, _, _):
        notes.on_publishes = lambda publishes: (notes.publishes.extend(publishes), link.pause())[0]  # type: ignore[method-assign]
        await eventually(lambda: bool(notes.publishes))
        link.read()
        taken = len(notes.publishes)
        assert 0 < taken < 200, "at most one piece of 64 KiB and what was on its way"
        notes.on_publishes = notes.publishes.extend  # type: ignore[method-assign]
        link.resume()
        await eventually(lambda: len(notes.publishes) == 999)


async def test_a_broker_that_neither_reads_nor_closes_is_hung_up_on(paho: type[PlainClient]) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.subscribe()
        await asyncio.Event().wait()

    async with linked(paho, script) as (link, notes, living, _):
        await eventually(lambda: "subscribed" in notes.told)
        link.leave("closed")
        assert await reason_of(living) == "closed"


async def test_a_broker_that_is_not_there_is_one_line(paho: type[PlainClient]) -> None:
    async with scripted_broker(polite) as (url, _):
        pass
    link = Link(paho, broker_of(url), "ingest-0", [("#", 1)], Notes(), 60)
    assert await link.live() == f"broker {url[7:]}: connection refused"
