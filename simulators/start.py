"""When does a run begin, and when must it end? Once all is ready, with files enough, and until told to stop."""

import asyncio
import contextlib
import resource
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

from simulators.progress import Steps

OTHER_FILES: Final = 64  # the journal, standard streams, and what the interpreter keeps open


class TooFewFilesError(Exception):
    """The operating system does not let one process open as many connections as the fleet needs."""


def allow_files(connections: int) -> None:
    """Raise the soft limit of open files as far as needed; raises TooFewFilesError if the hard one is in the way."""
    needed = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooFewFilesError(
            f"{connections:,} connections need {needed:,} open files, and the limit is {hard:,}: raise it (as root: "
            f"ulimit -Hn {needed} && ulimit -n {needed}; for good: 'nofile' in /etc/security/limits.conf, or "
            f"LimitNOFILE= of a systemd unit), take fewer connections (--connections 8), or share the fleet between "
            f"processes (--shard 1/2)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@contextlib.contextmanager
def stopped_by(stopping: asyncio.Event) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the run in order; the second one ends it at once."""
    loop = asyncio.get_running_loop()
    current = asyncio.current_task()

    def stop(*_: Any) -> None:
        if stopping.is_set() and current is not None:
            current.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def until_ready(url: str, steps: Steps) -> None:
    """Wait until `url` answers 200."""

    def is_ready() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  the user's own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    steps.stage()
    while not await asyncio.to_thread(is_ready):
        steps.show(f"waiting for {url}", 0.0)
        await asyncio.sleep(0.2)
