"""What does whoever watches remember of an outage, should it be started again in the middle of one? A small file."""

import logging
from pathlib import Path

import msgspec

from service.core.outage import Remembered
from service.logs import tell

NAME = "outage.json"


class OutageMemory:
    """In a directory that outlives the process. Without it, one that is started again tells of another outage."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / NAME
        self._kept: Remembered | None = None
        self._broken = False

    def recall(self) -> Remembered | None:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Remembered)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            self._say(error)
            return None

    def keep(self, remembered: Remembered | None) -> None:
        """None: there is no outage."""
        if remembered == self._kept and (remembered is not None or not self._file.exists()):
            return
        try:
            if remembered is None:
                self._file.unlink(missing_ok=True)
            else:
                beside = self._file.with_suffix(".new")
                beside.write_bytes(msgspec.json.encode(remembered))
                beside.replace(self._file)
        except OSError as error:
            self._say(error)
        else:
            self._kept, self._broken = remembered, False

    def _say(self, error: Exception) -> None:
        if not self._broken:
            tell("outage_not_remembered", logging.WARNING, file=str(self._file), reason=error)
        self._broken = True
