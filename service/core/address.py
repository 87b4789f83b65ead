"""Which network addresses may a webhook be sent to? Public ones, and those that were allowed by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Clouds answer at these with the credentials of the machine that asks; the first ones lie among public addresses, or
# are named for the sake of the reason.
_METADATA: Final = ("168.63.129.16", "169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")

# RFC 6890 and the registries that follow it. The first that matches is the reason.
_REFUSED: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("a cloud's metadata address", _METADATA),
    ("unspecified", ("0.0.0.0/8", "::/128")),
    ("a loopback address", ("127.0.0.0/8", "::1/128")),
    ("a link-local address", ("169.254.0.0/16", "fe80::/10")),
    ("a private address", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fec0::/10")),
    ("a unique local address", ("fc00::/7",)),
    ("an address behind a carrier's NAT", ("100.64.0.0/10",)),
    ("a multicast address", ("224.0.0.0/4", "ff00::/8")),
    (
        "reserved",
        (
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("240.0.0.0/4", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16"),
        ),
    ),
)
_REASONS: Final = tuple((reason, tuple(map(ip_network, networks))) for reason, networks in _REFUSED)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_6TO4: Final = IPv6Network("2002::/16")


@dataclass(frozen=True, slots=True)
class Allowed:
    """Hosts and networks that may be sent to although they are not public, and over plain http."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `127.0.0.0/8, hooks.clinic.internal, 10.1.2.3`. Raises ValueError with what is wrong."""
        hosts, networks = set(), []
        for word in text.replace(",", " ").split():
            try:
                networks.append(ip_network(word))
            except ValueError:
                if "/" in word or not _is_host(word):
                    raise ValueError(f"{word} is neither a network (10.1.2.0/24) nor a host's name") from None
                hosts.add(word.lower().rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def names(self, host: str) -> bool:
        """Whether this host, by its name or as an address, was allowed; `localhost` is 127.0.0.1."""
        host = host.lower().rstrip(".").strip("[]")
        if host in self.hosts:
            return True
        try:
            return self.holds(ip_address("127.0.0.1" if host == "localhost" else host))
        except ValueError:
            return False

    def holds(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


NOTHING_ALLOWED: Final = Allowed()


def why_refused(address: str, host: str = "", allowed: Allowed = NOTHING_ALLOWED) -> str:
    """Return why nothing may be sent to `address`, to which `host` leads; empty: it may be."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an address"
    if host.lower().rstrip(".") in allowed.hosts or allowed.holds(found):
        return ""
    for inner in _meant(found):
        if allowed.holds(inner):
            return ""
        for reason, networks in _REASONS:
            if any(inner in network for network in networks):
                return reason
        if isinstance(inner, IPv6Address) and inner not in _GLOBAL_UNICAST:
            return "reserved"
    return ""


def _meant(address: Address) -> Iterable[Address]:
    """The address that is reached in the end: IPv6 can wrap one of IPv4 in four ways."""
    if isinstance(address, IPv4Address):
        return [address]
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _MAPPED or address in _NAT64:
        return [low]
    if address in _6TO4:
        return [IPv4Address(int(address) >> 80 & 0xFFFFFFFF)]
    if address in _COMPATIBLE and int(address) > 1:
        return [low]
    return [address]


def _is_host(word: str) -> bool:
    labels = word.rstrip(".").split(".")
    return len(word) <= 253 and all(
        0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum() and label.isascii()
        for label in labels
    )
