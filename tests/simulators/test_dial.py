"""How a pump gets to its broker, and what it says where that fails. That it does over TLS: tests/security."""

import asyncio
import socket
import ssl

import pytest

from simulators.broker import Broker
from simulators.dial import Dial, reason
from tests.patience import until

LOOPBACK = "127.0.0.1"


async def dialled(broker: Broker) -> socket.socket | OSError:
    came: asyncio.Future[socket.socket | OSError] = asyncio.get_running_loop().create_future()
    dial = Dial(broker, ssl.create_default_context, came.set_result, came.set_result)
    dial.start(0)
    return await until(came, "the attempt to end", 60.0)


async def test_a_broker_that_listens_is_reached() -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        connected = await dialled(Broker(LOOPBACK, listening.getsockname()[1]))
        assert isinstance(connected, socket.socket)
        assert connected.getpeername() == listening.getsockname()
        connected.close()


async def test_a_broker_that_is_not_there_fails_with_the_reason() -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        port = listening.getsockname()[1]
    failed = await dialled(Broker(LOOPBACK, port))
    assert isinstance(failed, OSError)
    assert reason(failed) == "Connection refused"


async def test_a_broker_that_speaks_no_tls_is_not_spoken_to() -> None:
    async def answer_in_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"this is no TLS")
        writer.close()

    server = await asyncio.start_server(answer_in_clear, LOOPBACK, 0)
    failed = await dialled(Broker(LOOPBACK, server.sockets[0].getsockname()[1], tls=True))
    server.close()
    assert isinstance(failed, ssl.SSLError)
    assert reason(failed) == "TLS failed: wrong version number"


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
async def test_an_attempt_that_is_given_up_says_nothing_and_leaves_no_socket(*, tls: bool) -> None:
    said: list[object] = []
    with socket.create_server((LOOPBACK, 0)) as listening:  # accepts, and never says anything
        dial = Dial(
            Broker(LOOPBACK, listening.getsockname()[1], tls=tls), ssl.create_default_context, said.append, said.append
        )
        dial.start(0)
        dial.give_up()
        peer = (await asyncio.to_thread(listening.accept))[0]
        peer.settimeout(60)
        assert await asyncio.to_thread(peer.recv, 1) == b""
        peer.close()
    assert said == []
