"""Which broker, and where is it?"""

import ipaddress
import socket
import time
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from simulators.certificates import Certificates

KNOWN_FOR_S: Final = 60.0  # an address that was looked up


@dataclass(frozen=True, slots=True)
class Broker:
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    certificates: Certificates | None = None  # of the pumps, where each shows one
    others: tuple[tuple[str, int], ...] = ()  # further nodes of a cluster

    @property
    def is_loopback(self) -> bool:
        return all(_is_loopback(host) for host in (self.host, *(host for host, _ in self.others)))

    def beginning_at(self, link: int) -> "Broker":
        """The same for one of many links: of a cluster's nodes each begins with another one."""
        nodes = [(self.host, self.port), *self.others]
        (host, port), *others = nodes[link % len(nodes) :] + nodes[: link % len(nodes)]
        return replace(self, host=host, port=port, others=tuple(others)) if self.others else self

    def address(self, attempt: int) -> tuple[socket.AddressFamily, Any]:
        """Where to connect to: one node, and one address, after the other where there are several. Raises OSError."""
        nodes = [(self.host, self.port), *self.others]
        found = _looked_up(*nodes[attempt % len(nodes)], int(time.monotonic() / KNOWN_FOR_S))
        return found[attempt // len(nodes) % len(found)]

    def __str__(self) -> str:
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}"


def broker_of(url: str) -> Broker:
    """Parse `mqtt[s]://[user:password@]host[:port]`; raises ValueError with one line that says what is wrong.

    Of a cluster: `mqtt://[user:password@]host[:port],host[:port],…`
    """
    first, *further = url.split(",")
    parts = urlsplit(first)
    try:
        port = parts.port
        nodes = [(node.hostname or "", node.port) for node in (urlsplit(f"//{each}") for each in further)]
    except ValueError:
        raise ValueError("the broker's port is not a number from 1 to 65535") from None
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError("a broker is given as mqtt://[user:password@]host[:port], or mqtts://…")
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    tls = parts.scheme == "mqtts"
    usual = 8883 if tls else 1883
    others = tuple((host, port or usual) for host, port in nodes)
    return Broker(parts.hostname, port or usual, user, password, tls, others=others)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=8)
def _looked_up(host: str, port: int, _minute: int) -> list[tuple[socket.AddressFamily, Any]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted(((each[0], each[4]) for each in found), key=lambda each: each[0] is not socket.AF_INET)
