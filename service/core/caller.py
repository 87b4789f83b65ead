"""From where does a request come, if proxies of ours may stand between? By the address that the last of them saw."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from service.core.address import Address, Network

NOWHERE: Final = ""
_SAME_BITS: Final = 64
"""Whoever has one address of IPv6 has all that share these first bits."""


def parse_proxies(text: str) -> tuple[Network, ...]:
    """Read `127.0.0.1, 10.1.2.0/24`. Raises ValueError with what is wrong."""
    try:
        return tuple(ip_network(word) for word in text.replace(",", " ").split())
    except ValueError as error:
        raise ValueError(f"{error}; name addresses and networks, by commas") from None


def caller_of(peer: str, forwarded: Sequence[str], proxies: Sequence[Network]) -> str:
    """Return who asks, as one word: the peer, or where that is a proxy of ours, whom it names in `X-Forwarded-For`.

    `forwarded`: each such header as it stands. What a stranger writes into it is left of what proxies of ours add, and
    is not read.
    """
    seen = _address(peer)
    named = [word for header in forwarded for word in header.split(",")] if proxies else []
    while seen is not None and named and any(seen in network for network in proxies):
        before = _address(_without_port(named.pop().strip()))
        if before is None:
            break
        seen = before
    return NOWHERE if seen is None else _word(seen)


def _without_port(named: str) -> str:
    """Some proxies add the port from which somebody comes: `192.0.2.1:5678`, `[2001:db8::1]:5678`."""
    if named.startswith("["):
        return named[1:].partition("]")[0]
    return named.partition(":")[0] if named.count(":") == 1 else named


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _word(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((int(address), _SAME_BITS), strict=False))
