"""How are the processes of a measurement started, ended and charged for the processor time that they use?"""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from service.embedded.child import leashed

ROOT = Path(__file__).parents[2]
ENDS_WITHIN_S = 60.0


async def started(
    command: Sequence[object],
    *,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    wants_output: bool = False,
) -> Process:
    """Start `command` so that it ends with this process; what it logs goes to `log`, or is for people."""
    words = leashed([str(word) for word in command], signal.SIGTERM)
    with Path(log or os.devnull).open("ab") as errors:
        return await asyncio.create_subprocess_exec(
            *words,
            stdin=DEVNULL,
            stdout=PIPE if wants_output else DEVNULL,
            stderr=errors if log else None,
            cwd=ROOT,
            env=environment,
            process_group=0,
        )


@asynccontextmanager
async def ended(child: Process) -> AsyncIterator[Process]:
    """See to it that `child` has ended afterwards: asked first, then killed."""
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), ENDS_WITHIN_S)
            except TimeoutError:
                child.kill()
                await child.wait()


def cpu_s(pid: int) -> float:
    """Processor time of one process so far, its threads included. NaN where the kernel does not tell in /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_with_children_s(pid: int) -> float:
    """Likewise, with its children, those that have ended included: a PostgreSQL's backends are such."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return float("nan")
    ended_s = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return cpu_s(pid) + ended_s + sum(used_s for child in children if (used_s := cpu_s(int(child))) == used_s)
