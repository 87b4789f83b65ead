"""How is a running fleet spoken to? A socket of its owner's own: one line of JSON each way."""

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from errno import EACCES
from pathlib import Path
from typing import Final

import msgspec

from simulators.faults import Kind
from simulators.labels import Label

ANSWERS_WITHIN_S: Final = 5.0
MOST_BYTES: Final = 1 << 20


class Wanted(msgspec.Struct, frozen=True):
    """What is to be injected."""

    pump_id: str
    fault: str
    for_ms: int | None = None
    value: float | None = None


class Answer(msgspec.Struct, omit_defaults=True):
    """What became of it: a label, or the problem; `not_here`: the fleet has no such pump, another may."""

    label: Label | None = None
    problem: str = ""
    not_here: bool = False


def default_directory() -> Path:
    """Where running fleets listen unless told otherwise."""
    return Path(tempfile.gettempdir()) / f"pumpsim-{os.getuid()}"


class Control:
    """The socket of one fleet: `directory`/PID.sock, for the user who started it and nobody else."""

    def __init__(
        self, directory: Path, inject: Callable[[Wanted], Label], pump_ids: Callable[[], Sequence[str]]
    ) -> None:
        self._directory = directory
        self._inject = inject
        self._pump_ids = pump_ids

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Path]:
        """Listen; raises OSError where the directory is another's or cannot be made."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._directory.stat().st_uid != os.getuid():
            raise PermissionError(EACCES, "belongs to somebody else", str(self._directory))
        path = self._directory / f"{os.getpid()}.sock"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(path))
            path.chmod(0o600)
            server = await asyncio.start_unix_server(self._answer, sock=listener, limit=MOST_BYTES)
            async with server:
                yield path
        finally:
            listener.close()
            path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            writer.write(msgspec.json.encode(self._answer_to(await reader.readline())) + b"\n")
            await writer.drain()
        writer.close()

    def _answer_to(self, line: bytes) -> Answer:
        try:
            wanted = msgspec.json.decode(line, type=Wanted)
            if wanted.fault not in list(Kind):
                return Answer(problem=f"no such fault: {wanted.fault}; known are {', '.join(Kind)}")
            if wanted.pump_id not in self._pump_ids():
                return Answer(problem=f"no such pump: {wanted.pump_id}; {self._whom()}", not_here=True)
            return Answer(label=self._inject(wanted))
        except (ValueError, msgspec.MsgspecError) as error:
            return Answer(problem=str(error))

    def _whom(self) -> str:
        known = self._pump_ids()
        return f"this fleet has {', '.join(known)}" if len(known) <= 20 else f"this fleet has {known[0]} to {known[-1]}"


def ask(path: Path, wanted: Wanted) -> Answer:
    """Ask one fleet; raises OSError where none listens."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as asking:
        asking.settimeout(ANSWERS_WITHIN_S)
        asking.connect(str(path))
        asking.sendall(msgspec.json.encode(wanted) + b"\n")
        with asking.makefile("rb") as answer:
            return msgspec.json.decode(answer.readline(MOST_BYTES), type=Answer)


def inject(directory: Path, wanted: Wanted) -> Answer:
    """Ask every fleet that listens in a directory until one has the pump."""
    answer = Answer(problem=f"no fleet is running (none listens in {directory})")
    for path in sorted(directory.glob("*.sock")):
        try:
            answer = ask(path, wanted)
        except OSError:  # it was killed and left its socket behind
            continue
        if not answer.not_here:
            break
    return answer
