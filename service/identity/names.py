"""Who is it that a certificate speaks for, and how is that written in it and in the brokers' lists?"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.core.canary import PUMP_ID as CANARY_ID

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""A pump's id as the wire has it."""
PART: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""The name of a part of the service: a common name has room for 64."""
HOST: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


class NameRefusedError(Exception):
    """Nobody can be called that. The text is one line."""


class Kind(StrEnum):
    PUMP = "pump"
    PART = "service"
    SERVER = "server"
    NODE = "node"
    """Of a cluster of brokers: it calls the others, and they call it."""


class Part(StrEnum):
    """The parts of the service that speak to the broker; each may do there what it must, and nothing else."""

    INGEST = "ingest"
    """Hears all pumps, sends receipts."""
    WATCH = "watch"
    """Speaks as the canary, which is a pump of the service's own, and hears what the broker says of itself."""
    MONITOR = "monitor"
    """For people and probes: hears everything, says nothing."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a certificate is made out to. Of a part of the service there may be several: ingest, ingest-2."""

    kind: Kind
    name: str
    part: Part | None = None

    @property
    def uri(self) -> str:
        """What stands in the certificate: for a pump its id."""
        return f"urn:{'pumpwatch' if self.kind is Kind.PART else 'pump'}:{self.name}"

    @property
    def common_name(self) -> str:
        """Mosquitto goes by this one. A dot is in no pump's id, so that no pump can be called as a part of ours is."""
        return f"service.{self.name}" if self.kind is Kind.PART else self.name

    def uri_of(self, serial: int) -> str:
        """One certificate of it: a broker that goes by this can refuse an older one and take the newer."""
        return f"{self.uri}:{serial:x}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def pump(name: str) -> Holder:
    """Raises NameRefusedError."""
    if NAME.fullmatch(name) is None:
        raise NameRefusedError(f"{name!r} is no pump's id: 1 to 64 of A-Z a-z 0-9 _ -")
    if name == CANARY_ID:
        raise NameRefusedError(f"{name} is the service's own pump: `pumpwatch ca issue-service watch` is for it")
    return Holder(Kind.PUMP, name)


def part_named(part: Part, name: str = "") -> Holder:
    """Raises NameRefusedError."""
    name = name or part.value
    if PART.fullmatch(name) is None:
        raise NameRefusedError(f"{name!r} is no name of a part of the service: 1 to 40 of A-Z a-z 0-9 _ -")
    return Holder(Kind.PART, name, part)


def server(host: str) -> Holder:
    """Raises NameRefusedError."""
    return Holder(Kind.SERVER, _host(host))


def node(host: str) -> Holder:
    """Raises NameRefusedError."""
    return Holder(Kind.NODE, _host(host))


def _host(host: str) -> str:
    """An address with colons, as of IPv6, makes a name too."""
    if HOST.fullmatch(host) is None and re.fullmatch(r"[0-9A-Fa-f:]{2,39}", host) is None:
        raise NameRefusedError(f"{host!r} is neither a host's name nor its address")
    return host
