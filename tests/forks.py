"""`pumpwatch …` as processes of their own, forked off one that has loaded it all: that takes two seconds each time.

For tests to which a start is only the way to a page or an answer. What is tested of starting, of the environment of a
process or of killing one starts `python -m service` itself.
"""

import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, NamedTuple

from service import cli
from service.embedded.child import leashed
from service.embedded.leash import PR_SET_PDEATHSIG
from service.settings import inherited_environment

ROOT = Path(__file__).parents[1]
BEGINS_WITHIN_S, ENDS_WITHIN_S = 120.0, 60.0
_MOST_BYTES: Final = 1 << 16


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class Fork:
    """One process. Whoever forgets it ends it: it is killed when this connection is closed."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, number: signal.Signals) -> None:
        self._connection.send(bytes([number]))

    def wait(self, patience_s: float) -> int:
        """Its exit code once it has ended; TimeoutError."""
        self._connection.settimeout(patience_s)
        said = self._connection.recv(_MOST_BYTES)
        assert said, "the process that forks has ended"
        return int(said)

    def close(self) -> None:
        self._connection.close()

    def end(self) -> int:
        """Asked first, then killed."""
        with self._connection:
            self.send(signal.SIGTERM)
            try:
                return self.wait(ENDS_WITHIN_S)
            except TimeoutError:
                self.send(signal.SIGKILL)
                return self.wait(ENDS_WITHIN_S)


class Forks:
    """The process that has loaded it, and forks."""

    def __init__(self, address: str) -> None:
        self._address = address

    def start(self, *words: object, environment: Mapping[str, str], out: int, err: int) -> Fork:
        """`pumpwatch WORDS` with this environment alone, which writes to these open files."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(self._address)
        asked = json.dumps([[str(word) for word in words], dict(environment)]).encode()
        socket.send_fds(connection, [asked], [out, err])
        return Fork(connection)

    def run(self, *words: object, environment: Mapping[str, str]) -> Ended:
        """`pumpwatch WORDS` to its end."""
        with TemporaryFile() as out, TemporaryFile() as err:
            fork = self.start(*words, environment=environment, out=out.fileno(), err=err.fileno())
            try:
                code = fork.wait(ENDS_WITHIN_S * 3)
            finally:
                fork.close()
            for file in (out, err):
                file.seek(0)
            return Ended(code, out.read().decode(), err.read().decode())


@contextmanager
def forks(directory: Path) -> Iterator[Forks]:
    log, address = directory / "log", f"\0pumpwatch forks {os.getpid()}"
    words = leashed([sys.executable, "-m", "tests.forks", address[1:]], signal.SIGTERM)
    with log.open("ab") as file:
        running = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=ROOT, env=inherited_environment()
        )
    try:
        deadline = time.monotonic() + BEGINS_WITHIN_S
        while "ready" not in log.read_text():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the process that forks did not begin"
            time.sleep(0.02)
        yield Forks(address)
    finally:
        running.terminate()
        running.wait()


class _Asked(NamedTuple):
    words: list[str]
    environment: dict[str, str]
    out: int
    err: int


def _next_fork(listening: socket.socket) -> _Asked:
    """Fork whatever is asked for. Returns in the forked processes only, each with what it is to be."""
    woken, waking = socket.socketpair()
    for each in (woken, waking, listening):
        each.settimeout(0)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    asking: dict[socket.socket, int] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is woken:
                woken.recv(_MOST_BYTES)
                _tell_of_ends(asking)
            elif key.fileobj is listening:
                connection, _ = listening.accept()
                asked, (out, err), *_ = socket.recv_fds(connection, _MOST_BYTES, 2)
                if (pid := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for open_here in (selector, woken, waking, listening, connection, *asking):
                        open_here.close()
                    return _Asked(*json.loads(asked), out, err)
                os.close(out)
                os.close(err)
                asking[connection] = pid
                selector.register(connection, selectors.EVENT_READ)
            else:
                connection = key.fileobj  # type: ignore[assignment]
                number = _heard(connection)
                if connection in asking:
                    os.kill(asking[connection], number or signal.SIGKILL)
                if not number:
                    selector.unregister(connection)
                    connection.close()


def _heard(connection: socket.socket) -> int:
    """The signal that is to be sent; 0: nobody is interested any more."""
    try:
        return int.from_bytes(connection.recv(1))
    except ConnectionError:
        return 0


def _tell_of_ends(asking: dict[socket.socket, int]) -> None:
    for connection, pid in list(asking.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            del asking[connection]
            if connection.fileno() >= 0:
                with suppress(ConnectionError):  # nobody is interested any more
                    connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(asked: _Asked) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setpgid(0, 0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(asked.out, 1)
    os.dup2(asked.err, 2)
    os.close(asked.out)
    os.close(asked.err)
    os.environ.clear()
    os.environ.update(asked.environment)
    sys.argv = ["pumpwatch", *asked.words]
    sys.exit(cli.main())


if __name__ == "__main__":
    for name in cli.COMMANDS:
        import_module(f"service.commands.{name}")
    for name in ("service.api.app", "service.api.server", "service.web.mount"):
        import_module(name)
    gc.collect()
    gc.freeze()
    _listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    _listening.bind("\0" + sys.argv[1])
    _listening.listen(100)
    sys.stdout.write("ready")
    sys.stdout.flush()
    _become(_next_fork(_listening))
