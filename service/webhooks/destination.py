"""Where may a webhook go? The name is looked up here, the answer judged here, and only that is connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Final

import httpcore

from service.core.address import NOTHING_ALLOWED, Allowed, why_refused

_NEXT_ADDRESS_AFTER_S: Final = 1.0
_LOOKUPS: Final = ThreadPoolExecutor(max_workers=32, thread_name_prefix="lookup")
"""Threads of their own: a name server that hangs for one endpoint must not use up those of all the others."""

Lookup = Callable[[str, int], Awaitable[list[str]]]


class BlockedError(Exception):
    """The host leads to an address that nothing may be sent to. The text says of which kind, not which."""


async def look_up(host: str, port: int) -> list[str]:
    """Every address of a host, each once, in the order to try them."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    found = await asyncio.get_running_loop().run_in_executor(
        _LOOKUPS, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    )
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Checked(httpcore.AnyIOBackend):
    """Looks a name up once for a connection, and connects to an address that was judged, or not at all.

    One address that is refused refuses the host: a name that leads inside and outside is up to no good. TLS still
    names, and the pool still tells apart, the host of the URL.
    """

    def __init__(self, allowed: Allowed = NOTHING_ALLOWED, lookup: Lookup = look_up) -> None:
        self._allowed = allowed
        self._lookup = lookup
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Raises BlockedError, and OSError where there are none."""
        found = await self._looked_up(host, port)
        for address in found:
            if reason := why_refused(address, host, self._allowed):
                raise BlockedError(f"it leads to {reason}" if reason != "not an address" else reason)
        return found

    async def _looked_up(self, host: str, port: int) -> list[str]:
        """Whoever asks for a host meanwhile waits for the same answer: a thread cannot be taken back from a name server
        that hangs, and a few such endpoints would have all of them.
        """
        asked = host, port
        looking = self._under_way.get(asked)
        if looking is None:
            looking = self._under_way[asked] = asyncio.ensure_future(self._lookup(host, port))
            looking.add_done_callback(lambda done: self._answered(asked, done))
        return await asyncio.shield(looking)

    def _answered(self, asked: tuple[str, int], done: asyncio.Future[list[str]]) -> None:
        del self._under_way[asked]
        if not done.cancelled():
            done.exception()  # nobody may be left who waits for it

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = await self.addresses(host, port)
        for address in others:  # a dead IPv6 route must not use up the whole deadline
            try:
                return await super().connect_tcp(address, port, _NEXT_ADDRESS_AFTER_S, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await super().connect_tcp(last, port, timeout, local_address, socket_options)
