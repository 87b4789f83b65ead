"""The servers that tests run against: real ones, on the loopback, each in a directory of its own."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

from service.embedded.child import LOOPBACK, Child, free_port, listens, need_free

TIMESCALE_URL = "TIMESCALE_URL"  # names the environment's TimescaleDB: tests then have their databases there
MEMORY, ROOM_BYTES, NAME = Path("/dev/shm"), 2 << 30, "pumpwatch-tests-"  # noqa: S108
# No durability is asked of it here: receipts must hold with a broker that forgets.
MOSQUITTO_CONFIGURATION = """\
listener {port} {host}
allow_anonymous true
max_inflight_messages 0
max_queued_messages {queued}
sys_interval 1
max_packet_size 278528
persistence {persistence}
persistence_location {directory}/
{account}
"""


def database_url(url: str, name: str) -> str:
    """Another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextmanager
def in_memory_if_there_is_room() -> Iterator[Path]:
    """A directory for PostgreSQL: a database is a thousand small files, which take a disk longer than most tests do."""
    place = MEMORY if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES else None
    for left in place.glob(f"{NAME}*") if place else ():  # by a run that was killed
        if not Path("/proc", left.name.split("-")[-2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=f"{NAME}{os.getpid()}-", dir=place) as directory:
        yield Path(directory)


def mosquitto_binary() -> str | None:
    """The broker's program, also where PATH has no sbin."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


class MosquittoServer:
    """Mosquitto with the settings that our ingester needs of it; starts again on the same port."""

    def __init__(self, directory: Path, *, persistence: bool = False, queued: int = 0) -> None:
        self._child = Child(directory.absolute(), "Mosquitto")
        self._persistence = persistence
        self._queued = queued  # for a session that is away; beyond it Mosquitto drops, 0: nothing
        self.port = 0

    @property
    def url(self) -> str:
        return f"mqtt://{LOOPBACK}:{self.port}"

    mqtt_url = url

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.alive

    def start(self) -> None:
        binary = mosquitto_binary()
        assert binary is not None
        self._child.own(15.0)
        self.port = self.port or free_port()
        need_free(self.port, "MQTT")
        configuration = self._child.directory / "mosquitto.conf"
        configuration.write_text(
            MOSQUITTO_CONFIGURATION.format(
                host=LOOPBACK,
                port=self.port,
                directory=self._child.directory,
                queued=self._queued,
                persistence=str(self._persistence).lower(),
                account="user root" if os.geteuid() == 0 else "",  # else it could not read its directory
            ),
            encoding="utf-8",
        )
        self._child.start([binary, "-c", configuration], end_signal=signal.SIGTERM)
        self._child.wait_until(lambda: listens(self.port), 20.0)

    def stop(self) -> None:
        self._child.stop((signal.SIGTERM, 20.0))

    def kill(self) -> None:
        self._child.kill()


async def eventually(condition: Callable[[], bool], patience_s: float = 120.0) -> None:
    """Return once `condition()`; fail when it has not come true in time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether the process has ended, reaped or not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] in {"Z", "X"}
