"""Which broker, and where is it?"""

import ipaddress
import socket
import time
from dataclasses import dataclass, field
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

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def address(self, attempt: int) -> tuple[socket.AddressFamily, Any]:
        """Where to connect to: one address after the other where there are several. Raises OSError."""
        found = _looked_up(self.host, self.port, int(time.monotonic() / KNOWN_FOR_S))
        return found[attempt % len(found)]

    def __str__(self) -> str:
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}"


def broker_of(url: str) -> Broker:
    """Parse `mqtt[s]://[user:password@]host[:port]`; raises ValueError with one line that says what is wrong."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the broker's port is not a number from 1 to 65535") from None
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError("a broker is given as mqtt://[user:password@]host[:port], or mqtts://…")
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    tls = parts.scheme == "mqtts"
    return Broker(parts.hostname, port or (8883 if tls else 1883), user, password, tls)


@lru_cache(maxsize=8)
def _looked_up(host: str, port: int, _minute: int) -> list[tuple[socket.AddressFamily, Any]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted(((each[0], each[4]) for each in found), key=lambda each: each[0] is not socket.AF_INET)
