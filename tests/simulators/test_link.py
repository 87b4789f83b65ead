"""A connection comes back by itself, and says once why it is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from simulators.link import Broker, Link, broker_of
from tests.servers import MosquittoServer, eventually


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://127.0.0.1:1884", Broker("127.0.0.1", 1884)),
        ("mqtt://localhost", Broker("localhost", 1883)),
        ("mqtt://user:p%40ss@[::1]:1885/", Broker("::1", 1885, "user", "p@ss")),
    ],
)
def test_a_broker_is_given_as_an_address(url: str, broker: Broker) -> None:
    assert broker_of(url) == broker
    assert broker.is_loopback
    assert "p@ss" not in f"{broker} {broker!r}"


@pytest.mark.parametrize("url", ["127.0.0.1:1883", "http://127.0.0.1", "mqtt://", "mqtt://h:99999", "mqtt://h/path"])
def test_what_is_no_address_of_a_broker_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="broker"):
        broker_of(url)


@pytest.mark.parametrize("host", ["192.168.1.1", "broker.example.org", "10.0.0.1", "127.0.0.1.example.org"])
def test_a_remote_broker_is_known_as_such(host: str) -> None:
    assert not Broker(host, 1883).is_loopback


class Watched:
    """A link that remembers what became of it."""

    def __init__(self, url: str, name: str, subscription: str | None = None) -> None:
        self.ups = 0
        self.reasons: list[str] = []
        self.heard: list[tuple[bytes, bytes]] = []
        self.link = Link(
            broker_of(url),
            name,
            subscription=subscription,
            on_up=self._up,
            on_down=self.reasons.append,
            on_message=lambda topic, payload: self.heard.append((topic, payload)),
        )

    def _up(self) -> None:
        self.ups += 1


@contextlib.asynccontextmanager
async def running(watched: Watched) -> AsyncIterator[Link]:
    task = asyncio.create_task(watched.link.run())
    try:
        yield watched.link
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("fixture", ["nats_url", "mosquitto_url"])
async def test_what_is_published_is_settled_and_reaches_who_subscribed(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(fixture)
    sender, listener = Watched(url, "link-sender"), Watched(url, "link-listener", "receipts/v1/+")
    async with running(sender) as link, running(listener):
        await eventually(lambda: sender.ups == 1 and listener.ups == 1)
        settled: list[int] = []
        payloads = [b'{"through": %d}' % number + b" " * (number % 3 * 50_000) for number in range(30)]
        # The subscription may take a moment: messages before it are not ours to hear.
        while not listener.heard:
            link.publish(b"receipts/v1/none", b"are you there?", lambda: None)
            await asyncio.sleep(0.02)
        for number, payload in enumerate(payloads):
            link.publish(b"receipts/v1/link-1", payload, lambda number=number: settled.append(number))

        await eventually(lambda: len(settled) == 30)
        await eventually(lambda: [said for topic, said in listener.heard if topic.endswith(b"link-1")] == payloads)
        assert settled == list(range(30))
        assert link.unsettled == 0


async def test_a_broker_that_is_killed_is_reached_again_once_it_is_back(mosquitto_server: MosquittoServer) -> None:
    watched = Watched(mosquitto_server.url, "link-killed")
    async with running(watched) as link:
        await eventually(lambda: watched.ups == 1)
        link.publish(b"receipts/v1/x", b"{}", lambda: None)
        mosquitto_server.kill()
        await eventually(lambda: len(watched.reasons) == 1)
        assert link.room == 0
        assert link.unsettled == 0
        mosquitto_server.start()
        await eventually(lambda: watched.ups == 2)
        assert len(watched.reasons) == 1


async def test_an_unreachable_broker_is_tried_again_and_said_once() -> None:
    tries = 0

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        watched = Watched(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}", "link-hung-up")
        async with running(watched):
            await eventually(lambda: tries >= 3)
    nobody = Watched("mqtt://127.0.0.1:1", "link-nowhere")
    async with running(nobody):
        await eventually(lambda: bool(nobody.reasons))

    assert len(watched.reasons) == 1
    assert nobody.reasons == ["Connection refused"]


async def test_a_broker_that_says_what_it_may_not_or_nothing_is_left() -> None:
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xf0\x00")
        await writer.drain()
        writer.close()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x20\x02\x00\x05")
        await writer.drain()
        writer.close()

    for behaviour, reason in ((babble, "not a packet"), (refuse, "not authorised")):
        server = await asyncio.start_server(behaviour, "127.0.0.1", 0)
        async with server:
            watched = Watched(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}", "link-odd")
            async with running(watched):
                await eventually(lambda watched=watched: bool(watched.reasons))
            assert reason in watched.reasons[0]
            assert watched.ups == 0
