"""How is a server kept as a child: one a directory, on the loopback, ended with us, its last words at hand?

The lock of the directory is an open file that the server inherits, so the kernel holds it for as long as any process of
that server lives and not a moment longer: whoever gets it knows that what a crash left behind (a pid file) is stale.
"""

import atexit
import errno
import fcntl
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

LEASH = Path(__file__).with_name("leash.py")
LOOPBACK = "127.0.0.1"
POLL_S = 0.02
PORTS = range(20_000, 32_000)
_MOST_TRIES = 10_000
_claims: deque[socket.socket] = deque(maxlen=100)


class EmbeddedServerError(Exception):
    """A server could not be started or kept. The text is one line that says why."""


class Child:
    """One server in one directory. Start it from a thread that lives as long: the kernel takes that for its parent."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name
        self.log = directory / "log"
        self._lock: IO[bytes] | None = None
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._running is None:
            raise EmbeddedServerError(f"{self.name} is not started")
        return self._running.pid

    @property
    def alive(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def own(self, patience_s: float) -> None:
        """Make the directory and take its lock, waiting for what a killed server left running."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = (self.directory / "lock").open("ab")
        except OSError as error:
            raise EmbeddedServerError(f"{error.filename}: {error.strerror}") from None
        lock = self._lock
        if not _within(patience_s, lambda: _locked(lock)):
            self.disown()
            raise EmbeddedServerError(f"{self.directory}: another process is running {self.name} here")

    def disown(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def start(
        self,
        command: Sequence[str | Path],
        *,
        end_signal: signal.Signals,
        account: pwd.struct_passwd | None = None,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command`; when this process dies, the kernel sends it `end_signal`. Needs the lock."""
        if self._lock is None:
            raise EmbeddedServerError(f"{self.directory}: not ours")
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(  # noqa: S603 - the server that the caller named
                leashed(command, end_signal, account),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd or self.directory,
                env=None if environment is None else dict(environment),
                pass_fds=[self._lock.fileno()],
                process_group=0,  # a Ctrl-C at the terminal is for us; we end them in order
            )

    def wait_until(self, ready: Callable[[], bool], patience_s: float) -> None:
        """Return once `ready()`; raise with the server's own words if it ends first."""
        if not _within(patience_s, lambda: not self.alive or ready()):
            self.kill()
            raise EmbeddedServerError(f"{self.name} was not ready after {patience_s:.0f} s; see {self.log}")
        if not self.alive:
            self.kill()
            raise EmbeddedServerError(f"{self.name} did not start: {self.last_words()}")

    def stop(self, *signals: tuple[signal.Signals, float]) -> None:
        """Send each signal and wait as long as it says, then SIGKILL. Safe when not started."""
        for number, patience_s in signals:
            if not self.alive:
                break
            self._send(number)
            if self._ended_within(patience_s):
                break
        self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would. The directory is free once the kernel has taken every process of it."""
        self._send(signal.SIGKILL)
        if self._running is not None:
            self._running.wait()
            self._running = None
        self.disown()

    def last_words(self) -> str:
        """The last line of its log that says what went wrong."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        told = [line for line in lines if "FATAL" in line or "[FTL]" in line or "error" in line.lower()]
        return (told or lines or ["it said nothing"])[-1].strip()

    def _send(self, number: signal.Signals) -> None:
        if self._running is not None and self._running.poll() is None:
            self._running.send_signal(number)

    def _ended_within(self, patience_s: float) -> bool:
        if self._running is None:
            return True
        try:
            self._running.wait(patience_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def leashed(
    command: Sequence[str | Path], end_signal: signal.Signals, account: pwd.struct_passwd | None = None
) -> list[str]:
    """Return `command` so that it is sent `end_signal` when this process dies."""
    uid, gid = (account.pw_uid, account.pw_gid) if account else (-1, -1)
    before = [sys.executable, "-I", "-S", LEASH, os.getpid(), int(end_signal), uid, gid]
    return [str(part) for part in (*before, *command)]


def run(
    command: Sequence[str | Path], *, account: pwd.struct_passwd | None, cwd: Path, stdin: IO[bytes] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of the server's to its end, as `account`."""
    return subprocess.run(  # noqa: S603 - likewise
        leashed(command, signal.SIGTERM, account),
        stdin=stdin or subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on and nobody else was given: the last hundred are ours alone.

    From below the range that outgoing connections are given: one of them would take it while a server restarts.
    """
    for _ in range(_MOST_TRIES):
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            if _claimed(port):
                return port
    raise EmbeddedServerError(f"no free port from {PORTS.start} to {PORTS.stop - 1}")


def need_free(port: int, what: str, host: str = LOOPBACK) -> None:
    """Raise, naming port and purpose, if somebody listens on `port` already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EmbeddedServerError(f"port {port} of {host} for {what}: {error.strerror}") from None


def listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _claimed(port: int) -> bool:
    """Whether it is ours from now on: the kernel keeps the name, in this network, until we close it or end."""
    if sys.platform != "linux":
        return True
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0pumpwatch port {port}")
    except OSError as error:
        claim.close()
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    if len(_claims) == _claims.maxlen:
        _claims.popleft().close()
    _claims.append(claim)
    return True


@atexit.register
def _give_back() -> None:
    for claim in _claims:
        claim.close()


def _locked(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _within(patience_s: float, done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
