"""From a URL to a socket."""

import asyncio
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.embedded.child import LOOPBACK, Child, free_port, listens
from service.mqtt.client import BufferedClient, PlainClient
from service.mqtt.connecting import Broker, broker_of, brokers_of, check_topic_filter, connect, why
from tests.mqtt.inboxes import drain_count, inbox_at
from tests.servers import eventually, mosquitto_binary


def test_a_url_names_host_port_tls_and_login() -> None:
    assert broker_of("mqtt://broker") == Broker("broker", 1883, tls=False)
    assert broker_of("mqtts://broker") == Broker("broker", 8883, tls=True)
    assert broker_of("mqtt://[::1]:19") == Broker("::1", 19, tls=False)
    assert broker_of("mqtt://a%40b:p%2Fw%3A@h:1") == Broker("h", 1, tls=False, username="a@b", password="p/w:")


@pytest.mark.parametrize("url", ["", "broker:1883", "http://broker", "mqtt://", "mqtt://user:secret@"])
def test_what_is_no_brokers_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="mqtt://") as refused:
        broker_of(url)
    assert "secret" not in str(refused.value)


def test_a_password_is_never_shown() -> None:
    broker = broker_of("mqtt://ingest:secret@host:1")
    assert "secret" not in f"{broker} {broker!r}"
    assert str(broker) == "broker host:1"


@pytest.mark.parametrize("wrong", ["", "pumps/#/telemetry", "pumps/v1#", "pumps/+x/telemetry", "pumps/\0"])
def test_a_topic_filter_that_no_broker_takes_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="no topic filter"):
        check_topic_filter(wrong)
    assert check_topic_filter("shard/3/pumps/v1/+/#") == "shard/3/pumps/v1/+/#"


async def test_nobody_listening_is_an_os_error_and_leaves_no_socket_behind() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(OSError) as refused:  # noqa: PT011 - the kind is asserted below
        await connect(Broker("localhost", port, tls=False))
    assert why(refused.value) == "connection refused"


async def test_an_unknown_host_is_one_line() -> None:
    with pytest.raises(OSError) as unknown:  # noqa: PT011 - the kind is asserted below
        await connect(Broker("no-such-host.invalid", 1, tls=False))
    assert why(unknown.value) == "host name not known"
    assert why(TimeoutError()) == "no answer"


async def test_a_handshake_that_is_given_up_closes_its_socket() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:  # accepts, and never says anything
        connecting = asyncio.create_task(connect(Broker(LOOPBACK, server.getsockname()[1], tls=True)))
        peer = await asyncio.to_thread(server.accept)
        await asyncio.to_thread(peer[0].recv, 1)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        peer[0].settimeout(20)
        while await asyncio.to_thread(peer[0].recv, 65536):  # b"" once it is closed
            pass
        peer[0].close()


@pytest.fixture(scope="module")
def tls_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Mosquitto behind TLS: its URL, and the certificate that vouches for it."""
    binary, openssl = mosquitto_binary(), shutil.which("openssl")
    if binary is None or openssl is None:
        pytest.skip("no mosquitto or no openssl on this machine")
    directory = tmp_path_factory.mktemp("tls")
    certificate, key, port = directory / "broker.pem", directory / "broker.key", free_port()
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    key.chmod(0o644)
    directory.chmod(0o755)
    configuration = directory / "mosquitto.conf"
    configuration.write_text(
        f"listener {port} {LOOPBACK}\nallow_anonymous true\nmax_packet_size 278528\n"
        f"certfile {certificate}\nkeyfile {key}\n" + ("user root\n" if directory.owner() == "root" else "")
    )
    broker = Child(directory / "mosquitto", "Mosquitto")
    broker.own(15.0)
    broker.start([binary, "-c", configuration], end_signal=signal.SIGTERM)
    broker.wait_until(lambda: listens(port), 20.0)
    yield f"mqtts://localhost:{port}", certificate
    broker.stop((signal.SIGTERM, 20.0))


@pytest.mark.parametrize("paho", [BufferedClient, PlainClient], ids=["buffered", "plain"])
async def test_messages_come_over_tls_from_a_broker_that_is_vouched_for(
    tls_mosquitto: tuple[str, Path], paho: type[PlainClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, certificate = tls_mosquitto
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with inbox_at(url, "tls", paho=paho) as inbox:
        for number in range(10):
            inbox.publish([("tls/p1/telemetry", bytes([number]) * 100_000)])
        messages = await drain_count(inbox, 10)
        assert [message.payload for message in messages] == [bytes([number]) * 100_000 for number in range(10)]


async def test_a_broker_that_nobody_vouches_for_is_not_spoken_to(tls_mosquitto: tuple[str, Path]) -> None:
    async with inbox_at(tls_mosquitto[0], "tls", wait=False) as inbox:
        await eventually(lambda: "certificate not accepted: self-signed certificate" in inbox.problem)
        assert inbox.connection == 0


async def test_a_broker_that_does_not_speak_tls_is_one_line() -> None:
    async def answer_in_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"this is no TLS")
        writer.close()

    server = await asyncio.start_server(answer_in_clear, LOOPBACK, 0)
    with pytest.raises(ssl.SSLError) as failed:
        await connect(Broker(LOOPBACK, server.sockets[0].getsockname()[1], tls=True))
    server.close()
    assert why(failed.value) == "TLS failed: wrong version number"


def test_the_nodes_of_a_cluster_are_brokers_of_one_account() -> None:
    nodes = brokers_of("mqtt://pumpwatch:p%40ss@n1:1884,n2,n3:1885")

    assert [(node.host, node.port) for node in nodes] == [("n1", 1884), ("n2", 1883), ("n3", 1885)]
    assert {(node.username, node.password) for node in nodes} == {("pumpwatch", "p@ss")}
    assert brokers_of("mqtts://n1") == [broker_of("mqtts://n1")]
