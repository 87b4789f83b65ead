"""Which stretches of a long trial are done already? Each is kept in a file of its own, so that none is run twice."""

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from simulators.generate import Stream
from simulators.score import Tried


class KeptError(Exception):
    """What is kept is not of this trial; the text says why."""


class Outcome(msgspec.Struct):
    """What was tried, of which trial it is a part, and by which rulebook it was judged."""

    stream: Stream
    rulebook: str  # its text; empty: the service's defaults
    rulebook_version: str
    tried: Tried


class Kept:
    """The stretches in `directory`; None: nothing is kept."""

    def __init__(self, directory: Path | None, rulebook: str) -> None:
        self._directory = directory
        self._rulebook = rulebook

    def find(self, stream: Stream) -> Outcome | None:
        """What became of this stretch, if it was run before; raises KeptError where it was another."""
        if self._directory is None:
            return None
        path = self._path(stream)
        with contextlib.suppress(FileNotFoundError):
            try:
                found = _decode(path.read_bytes())
            except msgspec.DecodeError as error:
                raise KeptError(f"{path}: {error}") from error
            if (found.stream, found.rulebook) != (stream, self._rulebook):
                raise KeptError(f"{path}: kept of a trial that was asked for something else")
            return found
        return None

    def keep(self, stream: Stream, rulebook_version: str, tried: Tried) -> None:
        if self._directory is None:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._path(stream)
        begun = path.with_suffix(".tmp")
        begun.write_bytes(_encode(Outcome(stream, self._rulebook, rulebook_version, tried)))
        begun.replace(path)

    def _path(self, stream: Stream) -> Path:
        return Path(self._directory or "") / f"stretch-{stream.seed}.json"


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Outcome).decode
