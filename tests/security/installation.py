"""An installation's certificates, and brokers that run on the configuration that the product writes for them."""

import os
import re
import signal
import ssl
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.embedded.child import LOOPBACK, Child, free_port, listens
from service.embedded.nats import find_binary
from service.identity.authority import Authority
from service.identity.cabinet import Cabinet
from service.identity.names import pump
from tests.commands.here import ran
from tests.servers import mosquitto_binary

HOST = "localhost"


class Installation:
    """An authority with certificates for a broker and for the parts of the service."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "ca"
        self.run("init")
        self.run("issue-server", HOST, LOOPBACK)
        for part in ("ingest", "watch", "monitor"):
            self.run("issue-service", part)

    def run(self, action: str, *arguments: object) -> str:
        ended = ran("ca", action, "--dir", self.directory, *arguments)
        assert ended.code == 0, ended.err
        return ended.out

    def issue(self, *pumps: str) -> None:
        for name in pumps:
            self.run("issue", name)

    def issue_many(self, prefix: str, count: int) -> list[str]:
        names = [f"{prefix}{number:06d}" for number in range(1, count + 1)]
        ids = self.directory / f"{prefix}.ids"
        ids.write_text("\n".join(names))
        self.run("issue-fleet", ids)
        return names

    def issue_ended(self, name: str) -> None:
        """A certificate whose time is over."""
        long_ago = datetime.now(UTC) - timedelta(days=100)
        cabinet = Cabinet(self.directory)
        with cabinet.opened() as authority:
            ended = authority.issue(pump(name), long_ago, timedelta(days=50))
            cabinet.keep([ended], long_ago)

    @property
    def services(self) -> Path:
        return self.directory / "services"

    @property
    def pumps(self) -> Path:
        return self.directory / "pumps"

    def pump(self, name: str) -> ssl.SSLContext:
        return context(self.directory, self.pumps / name)

    def service(self, name: str) -> ssl.SSLContext:
        return context(self.directory, self.services / name)

    def server(self) -> ssl.SSLContext:
        return context(self.directory, self.directory / "servers" / HOST)

    def nobody(self) -> ssl.SSLContext:
        return context(self.directory, None)

    def forged(self, directory: Path, name: str) -> ssl.SSLContext:
        """The pump's name, by an authority of somebody else's."""
        now = datetime.now(UTC)
        other = Authority.new("pumpwatch authority", now, timedelta(days=10))
        made = other.issue(pump(name), now, timedelta(days=5))
        assert made.key is not None
        (directory / f"{name}.pem").write_bytes(made.certificate)
        (directory / f"{name}.key").write_bytes(made.key)
        return context(self.directory, directory / name)


def context(directory: Path, pair: Path | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=directory / "ca.crt")
    if pair is not None:
        made.load_cert_chain(f"{pair}.pem", f"{pair}.key")
    return made


class SecuredBroker(ABC):
    """A broker on what `pumpwatch ca broker` wrote; only ports and the account are another's, as its owner may have."""

    name = kind = ""

    def __init__(self, installation: Installation, directory: Path) -> None:
        self.installation = installation
        self.directory = directory
        self.port = free_port()
        self.child = Child(directory / "child", self.name)

    @property
    def url(self) -> str:
        return f"mqtts://{HOST}:{self.port}"

    def configure(self) -> None:
        options = ("--out", self.directory, "--server", HOST, "--port", self.port)
        self.installation.run("broker", self.kind or self.name, *options)

    def start(self) -> None:
        self.configure()
        self.adapt()
        self.child.own(15.0)
        self.child.start(self.command(), end_signal=signal.SIGTERM)
        self.child.wait_until(lambda: listens(self.port), 60.0)

    def reload(self) -> None:
        """What the operator does after certificates were issued or taken back."""
        self.configure()
        os.kill(self.server_pid(), signal.SIGHUP)

    def server_pid(self) -> int:
        return self.child.pid

    def stop(self) -> None:
        self.child.stop((signal.SIGTERM, 20.0))

    @property
    def log(self) -> str:
        return self.child.log.read_text(encoding="utf-8", errors="replace")

    @abstractmethod
    def adapt(self) -> None:
        """Change in what was generated only what the test's machine needs."""

    @abstractmethod
    def command(self) -> list[str | Path]: ...


class SecuredNats(SecuredBroker):
    name = "nats"

    def adapt(self) -> None:
        file = self.directory / "nats.conf"
        self.plain_port = free_port()
        text = re.sub(r"^listen: .*", f'listen: "{LOOPBACK}:{self.plain_port}"', file.read_text(), flags=re.MULTILINE)
        file.write_text(re.sub(r"^http: .*", f'http: "{LOOPBACK}:{free_port()}"', text, flags=re.MULTILINE))

    def command(self) -> list[str | Path]:
        return [find_binary(), "--config", self.directory / "nats.conf"]


class SecuredNatsByShard(SecuredNats):
    """As each node of a cluster has it."""

    kind = "nats-by-shard"


class SecuredMosquitto(SecuredBroker):
    name = "mosquitto"

    def adapt(self) -> None:
        if os.geteuid() == 0:  # else it could not read its directory
            file = self.directory / "mosquitto.conf"
            file.write_text(f"user root\n{file.read_text()}")

    def command(self) -> list[str | Path]:
        binary = mosquitto_binary()
        assert binary is not None
        return [binary, "-c", self.directory / "mosquitto.conf"]
