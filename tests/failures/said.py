"""What did the fleet measure, and which receipts did it get? Its journal (docs/simulators.md), read while it grows."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

SEQ_BITS = 40


class Item(NamedTuple):
    """One reading as it was measured and must be stored; of an event `flow_ml_d` is None."""

    time_ms: int
    flow_ml_d: float | None


class Line(msgspec.Struct):
    """One line of the journal."""

    kind: str
    at_ms: int
    pump_id: str = ""
    message: msgspec.Raw = msgspec.Raw(b"{}")
    boot: int = 0
    through: int = 0
    items: int = 0


class _Message(msgspec.Struct):
    boot: int
    seq: int
    time_ms: list[int] | int
    flow_ml_d: list[float] = []
    type: str | None = None


class Measured(NamedTuple):
    """One message as a pump has measured it: the payload without `held_from`."""

    at_ms: int
    pump_id: str
    payload: bytes
    is_event: bool
    boot: int
    seq: int


_LINE = msgspec.json.Decoder(Line)
_MESSAGE = msgspec.json.Decoder(_Message)


class Said:
    """What the fleet has said so far. `read_on` takes in what the journal has gained."""

    def __init__(self, journal: Path | None = None) -> None:
        self._journal = journal
        self._offset = 0
        self.messages: list[Measured] = []
        self.measured: dict[str, dict[int, Item]] = {}  # by pump and position
        self.receipted: dict[str, int] = {}  # by pump: the highest position that a receipt has named
        self.receipts = 0
        self.let_go = 0  # items that a pump has forgotten without a receipt

    def read_on(self) -> "Said":
        if self._journal is not None and self._journal.exists():
            with self._journal.open("rb") as file:
                file.seek(self._offset)
                written = file.read()
            whole = written[: written.rfind(b"\n") + 1]  # the last line may be half written
            self._offset += len(whole)
            for line in whole.splitlines():
                self.take(_LINE.decode(line))
        return self

    def take(self, line: Line) -> None:
        match line.kind:
            case "measured":
                self._measured(line)
            case "receipt":
                position = position_of(line.boot, line.through)
                self.receipts += 1
                self.receipted[line.pump_id] = max(position, self.receipted.get(line.pump_id, -1))
            case "given_up" | "overwritten":
                self.let_go += line.items

    def covered(self) -> Iterator[tuple[str, int]]:
        """Yield every (pump, position) that the fleet has a receipt for."""
        for pump_id, through in self.receipted.items():
            yield from ((pump_id, position) for position in self.measured.get(pump_id, ()) if position <= through)

    def _measured(self, line: Line) -> None:
        payload = bytes(line.message)
        message = _MESSAGE.decode(payload)
        position = position_of(message.boot, message.seq)
        items = self.measured.setdefault(line.pump_id, {})
        if isinstance(message.time_ms, int):
            items[position] = Item(message.time_ms, None)
        else:
            for number, (time_ms, flow_ml_d) in enumerate(zip(message.time_ms, message.flow_ml_d, strict=True)):
                items[position + number] = Item(time_ms, flow_ml_d)
        is_event = message.type is not None
        self.messages.append(Measured(line.at_ms, line.pump_id, payload, is_event, message.boot, message.seq))


def position_of(boot: int, seq: int) -> int:
    return boot << SEQ_BITS | seq
