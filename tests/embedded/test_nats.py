"""The embedded NATS: an MQTT broker that keeps its session over a crash, on the same port."""

import subprocess
import sys
from pathlib import Path

import aiomqtt
import pytest

from service.embedded.child import EmbeddedServerError
from service.embedded.nats import NatsServer
from tests.servers import eventually, gone

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from service.embedded.nats import NatsServer
server = NatsServer(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


async def test_what_it_took_for_a_session_survives_its_crash(nats_server: NatsServer) -> None:
    url = nats_server.mqtt_url
    async with aiomqtt.Client("127.0.0.1", nats_server.mqtt_port, identifier="ingest-0", clean_session=False) as first:
        await first.subscribe("pumps/v1/+/+", qos=1)
    async with aiomqtt.Client("127.0.0.1", nats_server.mqtt_port, identifier="pump") as pump:
        await pump.publish("pumps/v1/p1/telemetry", b"x" * 262_144, qos=1)

    nats_server.kill()
    nats_server.start()

    assert nats_server.mqtt_url == url
    ingester = aiomqtt.Client("127.0.0.1", nats_server.mqtt_port, identifier="ingest-0", clean_session=False)
    async with ingester:
        await ingester.subscribe("pumps/v1/+/+", qos=1)
        message = await anext(aiter(ingester.messages))
    assert len(message.payload) == 262_144


async def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "data"], stdout=subprocess.PIPE, cwd=ROOT
    ) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        with pytest.raises(EmbeddedServerError, match="another process"):
            NatsServer(tmp_path / "data").start(lock_patience_s=0.1)
        holder.kill()
    await eventually(lambda: gone(pid))


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path, nats_server: NatsServer) -> None:
    with pytest.raises(EmbeddedServerError, match=rf"^port {nats_server.mqtt_port} of 127.0.0.1 for MQTT: .*use$"):
        NatsServer(tmp_path / "other", nats_server.mqtt_port).start()


def test_what_the_server_says_is_handed_on(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"^NATS did not start: .*ack_wait"):
        NatsServer(tmp_path / "data", ack_wait="soon").start()
