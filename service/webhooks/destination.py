"""Where may a webhook go? The name is looked up here, the answer judged here, and only that is connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable

import httpcore

_NEXT_ADDRESS_AFTER_S = 1.0


async def addresses(host: str, port: int) -> list[str]:
    """Resolve `host` once and decide: the addresses that may be connected to, in the order to try.

    Every connection is made to one of these, never to a name looked up a second time. All are allowed.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Checked(httpcore.AnyIOBackend):
    """Connects to what `allowed` returns; TLS still names, and the pool still tells apart, the host of the URL."""

    def __init__(self, allowed: Callable[[str, int], Awaitable[list[str]]] = addresses) -> None:
        self._allowed = allowed

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = await self._allowed(host, port)
        for address in others:  # a dead IPv6 route must not use up the whole deadline
            try:
                return await super().connect_tcp(address, port, _NEXT_ADDRESS_AFTER_S, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await super().connect_tcp(last, port, timeout, local_address, socket_options)
