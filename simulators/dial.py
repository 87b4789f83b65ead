"""How does a pump get to its broker? TCP, then TLS where that is asked for; on the event loop, without a task."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from errno import EINPROGRESS

from simulators.broker import Broker


class Dial:
    """One attempt. It calls `done` or `failed`, once, unless it is given up before; `failed` even within `start`."""

    __slots__ = ("_broker", "_context", "_done", "_failed", "_socket")

    def __init__(
        self,
        broker: Broker,
        context: Callable[[], ssl.SSLContext],
        done: Callable[[socket.socket], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._broker = broker
        self._context = context
        self._done = done
        self._failed = failed
        self._socket: socket.socket | None = None

    def start(self, attempt: int) -> None:
        try:
            family, address = self._broker.address(attempt)
            self._socket = dialling = socket.socket(family, socket.SOCK_STREAM)
            dialling.setblocking(False)  # noqa: FBT003  the standard library's own
            dialling.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = dialling.connect_ex(address)
            if code not in {0, EINPROGRESS}:
                raise OSError(code, os.strerror(code))  # noqa: TRY301
        except OSError as error:
            self._fail(error)
            return
        asyncio.get_running_loop().add_writer(dialling, self._dialled, dialling)

    def give_up(self) -> None:
        if self._socket is not None:
            self._leave_loop(self._socket)
            self._socket.close()
            self._socket = None

    def _dialled(self, dialled: socket.socket) -> None:
        asyncio.get_running_loop().remove_writer(dialled)
        if code := dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._fail(OSError(code, os.strerror(code)))
        elif self._broker.tls:
            self._begin_tls(dialled)
        else:
            self._socket = None
            self._done(dialled)

    def _begin_tls(self, dialled: socket.socket) -> None:
        try:
            context = self._context()
            self._socket = None  # wrapped or closed by what follows
            shaking = context.wrap_socket(dialled, server_hostname=self._broker.host, do_handshake_on_connect=False)
        except OSError as error:
            dialled.close()
            self._fail(error)
            return
        self._socket = shaking
        asyncio.get_running_loop().add_reader(shaking, self._shake, shaking)
        self._shake(shaking)

    def _shake(self, shaking: ssl.SSLSocket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_writer(shaking)
        try:
            shaking.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            loop.add_writer(shaking, self._shake, shaking)
            return
        except OSError as error:
            self._fail(error)
            return
        loop.remove_reader(shaking)
        self._socket = None
        self._done(shaking)

    def _fail(self, error: OSError) -> None:
        self.give_up()
        self._failed(error)

    def _leave_loop(self, left: socket.socket) -> None:
        if left.fileno() >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(left)
            loop.remove_writer(left)


def reason(error: OSError) -> str:
    """One line for a connection that could not be made, or was lost."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'handshake').lower().replace('_', ' ')}"
    return error.strerror or str(error)
