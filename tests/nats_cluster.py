"""Three NATS nodes on loopback addresses of their own, from what `pumpwatch cluster plan` and `pumpwatch ca` write."""

import http.client
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from service.cli import main
from service.embedded.child import Child, free_port
from service.embedded.nats import find_binary
from service.exits import EXIT_OK
from tests.patience import until_true

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
STREAM = "$MQTT_msgs"


def environment_of_nodes(directory: Path) -> dict[str, str]:
    """What `nats.env` says, each password being the first word of its name."""
    lines = (directory / "nats.env").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    passwords = {name: name.partition("_")[0].lower() for name in given if name.endswith("_PASSWORD")}
    return passwords | {"ROUTES": given["ROUTES"].strip("'").replace("routes:...@", "routes:routes@")}


def run(command: list[str]) -> None:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as said:
        assert main(command) == EXIT_OK, said.getvalue()


def certify(authority: Path, *hosts: str) -> None:
    """A new authority, and what it makes for nodes on these hosts."""
    run(["ca", "init", "--dir", str(authority)])
    for host in hosts:
        run(["ca", "issue-node", "--dir", str(authority), host])


class NatsNode:
    """One of them. It keeps its store while it is away."""

    def __init__(
        self,
        directory: Path,
        name: str,
        host: str,
        configuration: Path,
        ports: dict[str, int],
        environment: Mapping[str, str],
    ) -> None:
        self._child = Child(directory / name, f"NATS {name}")
        self.name, self.host = name, host
        self._configuration, self._ports, self._environment = configuration, ports, environment

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def mqtt_url(self) -> str:
        return f"mqtt://pumps:pumps@{self.host}:{self._ports['mqtt']}"

    def start(self) -> None:
        self._child.own(15.0)
        self._child.start(
            [find_binary(), "--config", self._configuration],
            end_signal=signal.SIGTERM,
            environment=os.environ | self._environment,
        )

    def stop(self) -> None:
        self._child.stop((signal.SIGTERM, 30.0))

    def kill(self) -> None:
        self._child.kill()

    def ready(self) -> bool:
        assert self.alive, self._child.last_words()
        return self._asked("/healthz")[0] == http.HTTPStatus.OK and self._listens("mqtt")

    @property
    def log(self) -> str:
        return self._child.log.read_text(encoding="utf-8", errors="replace")

    def routes(self) -> set[str]:
        """The nodes to which it is connected."""
        return {route["remote_name"] for route in json.loads(self._asked("/routez")[1])["routes"]}

    def streams(self) -> dict[str, Any]:
        """What it says of each stream of the pumps' account, by name, with its consumers."""
        told = json.loads(self._asked("/jsz?streams=1&consumers=1&config=1")[1])
        return {
            stream["name"]: stream
            for account in told.get("account_details") or ()
            for stream in account.get("stream_detail") or ()
            if account["name"] == "PUMPS"
        }

    def _listens(self, what: str) -> bool:
        try:
            socket.create_connection((self.host, self._ports[what]), timeout=1).close()
        except OSError:
            return False
        return True

    def _asked(self, path: str) -> tuple[int, bytes]:
        try:
            with closing(http.client.HTTPConnection(self.host, self._ports["monitoring"], timeout=5)) as asked:
                asked.request("GET", path)
                answer = asked.getresponse()
                return answer.status, answer.read()
        except OSError:
            return 0, b"{}"


class NatsCluster:
    """Its nodes, and where pumps and the service find them. `words` are for the plan."""

    def __init__(
        self, directory: Path, *, ingesters: int = 3, words: Sequence[str] = (), anonymous: bool = False
    ) -> None:
        """`anonymous`: who says no password counts as a pump."""
        self.directory = directory
        names = ("mqtt", "nats", "routes", "monitoring")
        self.ports = {name: free_port() for name in names}
        self.authority = directory / "ca"
        command = ["cluster", "plan", "--to", str(directory), "--ingesters", str(ingesters)]
        command += ["--store", str(directory / "{name}" / "store"), "--tls", str(self.authority / "nodes"), *words]
        for host in HOSTS:
            command += ["--node", host]
        for name, port in self.ports.items():
            command += [f"--{name}-port", str(port)]
        run(command)
        certify(self.authority, *HOSTS)
        if anonymous:
            for configuration in directory.glob("nats-*.conf"):
                with configuration.open("a", encoding="utf-8") as file:
                    file.write("no_auth_user: pumps\n")
        self.nodes = [
            NatsNode(
                directory, f"nats-{n}", host, directory / f"nats-{n}.conf", self.ports, environment_of_nodes(directory)
            )
            for n, host in enumerate(HOSTS, start=1)
        ]

    @property
    def service_url(self) -> str:
        return f"mqtt://pumpwatch:service@{self._hosts('mqtt')}"

    @property
    def mqtt_url(self) -> str:
        """For pumps."""
        return f"mqtt://pumps:pumps@{self._hosts('mqtt')}"

    @property
    def anonymous_url(self) -> str:
        return f"mqtt://{HOSTS[0]}:{self.ports['mqtt']}"

    @property
    def nats_url(self) -> str:
        return f"nats://pumpwatch:service@{next(n for n in self.nodes if n.alive).host}:{self.ports['nats']}"

    @property
    def monitoring_urls(self) -> str:
        return ",".join(f"http://{node.host}:{self.ports['monitoring']}" for node in self.nodes)

    async def start(self) -> None:
        for node in self.nodes:
            node.start()
        await self.until_ready()

    async def until_ready(self) -> None:
        await until_true(lambda: all(node.ready() for node in self.nodes if node.alive), "the nodes to be ready")

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def unsettled(self) -> int:
        """Messages that nobody has settled, delivered or not, as the consumers' leaders say."""
        return sum(
            consumer["num_pending"] + consumer["num_ack_pending"]
            for node in self.nodes
            if node.alive
            for consumer in node.streams().get(STREAM, {}).get("consumer_detail") or ()
            if consumer.get("cluster", {}).get("leader") == node.name
        )

    def _hosts(self, port: str) -> str:
        return ",".join(f"{node.host}:{self.ports[port]}" for node in self.nodes)
