"""A connection comes back by itself, and says once why it is away."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulators.broker import broker_of
from simulators.link import RETRY_AT_MOST_S, RETRY_FIRST_S, Link
from simulators.mqtt import Will
from simulators.wheel import Wheel
from tests.servers import MosquittoServer, eventually


class Watched:
    """A link that remembers what became of it."""

    def __init__(self, url: str, name: str, subscription: str | None = None, will: Will | None = None) -> None:
        self.ups = 0
        self.reasons: list[str] = []
        self.messages: list[tuple[bytes, bytes]] = []
        self.tokens: list[Any] = []
        self.wheel: Wheel[Link] = Wheel(time.monotonic())
        self.link = Link(0, broker_of(url), name, self, self.wheel, subscription=subscription, will=will)

    def up(self, _link: Link) -> None:
        self.ups += 1

    def down(self, _link: Link, why: str) -> None:
        self.reasons.append(why)

    def settled(self, _link: Link, token: Any) -> None:
        self.tokens.append(token)

    def heard(self, _link: Link, topic: bytes, payload: bytes) -> None:
        self.messages.append((topic, payload))

    def publish(self, topic: bytes, payload: bytes, token: Any) -> None:
        self.link.publish(topic, payload, token)
        self.link.flush()


@contextlib.asynccontextmanager
async def running(*watched: Watched) -> AsyncIterator[None]:
    async def turn() -> None:
        while True:
            await asyncio.sleep(0.02)
            now_s = time.monotonic()
            for each in watched:
                for due_s, link in each.wheel.due(now_s):
                    link.turn(due_s, now_s)

    task = asyncio.create_task(turn())
    for each in watched:
        each.link.start()
    try:
        yield
    finally:
        task.cancel()
        for each in watched:
            each.link.stop()


@pytest.mark.parametrize("fixture", ["nats_url", "mosquitto_url"])
async def test_what_is_published_is_settled_and_reaches_who_subscribed(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(fixture)
    sender, listener = Watched(url, "link-sender"), Watched(url, "link-listener", "receipts/v1/+")
    async with running(sender, listener):
        await eventually(lambda: sender.ups == 1 and listener.ups == 1)
        payloads = [b'{"through": %d}' % number + b" " * (number % 3 * 50_000) for number in range(30)]
        # The subscription may take a moment: messages before it are not ours to hear.
        while not listener.messages:
            sender.publish(b"receipts/v1/none", b"are you there?", "before")
            await asyncio.sleep(0.02)
        for number, payload in enumerate(payloads):
            sender.publish(b"receipts/v1/link-1", payload, number)

        await eventually(lambda: sender.tokens[-1:] == [29])
        await eventually(lambda: [said for topic, said in listener.messages if topic.endswith(b"link-1")] == payloads)
        assert [token for token in sender.tokens if token != "before"] == list(range(30))
        assert sender.link.unsettled == 0


@pytest.mark.parametrize("fixture", ["nats_url", "mosquitto_url"])
async def test_a_pump_whose_connection_breaks_is_said_to_be_offline_and_one_that_says_goodbye_is_not(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(fixture)
    # Retained on a broker that all tests share: nobody who listens to pumps must hear them.
    topics = [f"wills/{fixture.replace('_', '-')}-{number}".encode() for number in range(2)]
    lost, leaves = (Watched(url, f"link-will-{n}", will=Will(topic, b"gone")) for n, topic in enumerate(topics))
    listener = Watched(url, "link-will-listener", "wills/+")
    async with running(lost, leaves, listener):
        await eventually(lambda: lost.ups == leaves.ups == listener.ups == 1)
        while not listener.messages:
            lost.publish(b"wills/none", b"?", 0)
            await asyncio.sleep(0.02)
        leaves.link.stop()
        lost.link.drop()

        await eventually(lambda: (topics[0], b"gone") in listener.messages)
        await eventually(lambda: lost.ups == 2)
    assert lost.reasons == ["dropped"]
    assert (topics[1], b"gone") not in listener.messages


async def test_a_broker_that_is_killed_is_reached_again_once_it_is_back(mosquitto_server: MosquittoServer) -> None:
    watched = Watched(mosquitto_server.url, "link-killed")
    async with running(watched):
        await eventually(lambda: watched.ups == 1)
        watched.publish(b"receipts/v1/x", b"{}", 1)
        mosquitto_server.kill()
        await eventually(lambda: len(watched.reasons) == 1)
        assert watched.link.room == 0
        assert watched.link.unsettled == 0
        mosquitto_server.start()
        await eventually(lambda: watched.ups == 2, 30)
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
            await eventually(lambda: tries >= 3, 30)
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


async def test_who_is_refused_waits_longer_each_time_and_never_for_a_fixed_time() -> None:
    watched = Watched("mqtt://127.0.0.1:1", "link-backoff")
    waits: list[list[float]] = [[], []]
    for of_run in waits:
        watched.link.tries = 0
        for _ in range(6):
            now_s = time.monotonic()
            watched.link._lost("refused")
            of_run.append(watched.link._due_s - now_s)

    assert waits[0] != waits[1]
    bounds = [min(RETRY_FIRST_S * 2.0**number, RETRY_AT_MOST_S) for number in range(6)]
    assert all(0 <= wait <= bound + 0.01 for of_run in waits for wait, bound in zip(of_run, bounds, strict=True))


async def test_a_quiet_connection_is_kept_alive_and_one_that_has_gone_quiet_is_given_up(
    mosquitto_server: MosquittoServer,
) -> None:
    """Its deadlines come when the wheel is turned: here, ahead of time."""
    watched = Watched(mosquitto_server.url, "link-quiet")
    async with running(watched):
        await eventually(lambda: watched.ups == 1)
        link = watched.link
        link.turn(link._due_s, link._due_s)
        await eventually(lambda: link._heard)
        assert link.is_up
        link._heard = False
        link.turn(link._due_s, link._due_s + 60)
        assert watched.reasons == ["nothing heard for 30 s"]
