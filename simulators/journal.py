"""What did the fleet measure, and what has its receipt? The journal for checkers, and the counts of the report."""

import math
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

import msgspec

from simulators import wire
from simulators.memory import Held
from simulators.simulation import Message

_RATIO: Final = math.log(1.05)


class Latencies:
    """Percentiles of many latencies in little memory: counted in bins of 5 %."""

    def __init__(self, bins: Counter[int] | None = None) -> None:
        self._bins: Counter[int] = Counter() if bins is None else bins

    @property
    def bins(self) -> Counter[int]:
        """How many there are between two powers of the ratio."""
        return self._bins

    def add(self, latency_s: float) -> None:
        self._bins[math.ceil(math.log(max(latency_s, 1e-6)) / _RATIO)] += 1

    @property
    def count(self) -> int:
        return sum(self._bins.values())

    def copy(self) -> "Latencies":
        return Latencies(self._bins.copy())

    def since(self, earlier: "Latencies") -> "Latencies":
        """What was added after `earlier` was copied from this."""
        return Latencies(self._bins - earlier.bins)

    def percentiles_ms(self) -> dict[str, float]:
        """The 50th, 90th, 99th and highest, each at most 5 % too high; empty when nothing was counted."""
        total = sum(self._bins.values())
        wanted = {"p50": 0.5 * total, "p90": 0.9 * total, "p99": 0.99 * total, "max": total}
        found: dict[str, float] = {}
        seen = 0
        for number, count in sorted(self._bins.items()):
            seen += count
            for name, rank in wanted.items():
                if name not in found and seen >= rank:
                    found[name] = round(math.exp(number * _RATIO) * 1000, 3)
        return found


class Tally(msgspec.Struct):
    """Counts of one run. Items are readings and events; messages carry one or more."""

    measured_readings: int = 0
    measured_events: int = 0
    messages: int = 0
    sent: int = 0
    resent: int = 0
    repeated: int = 0  # as a faulty way does it, beside those
    settled: int = 0  # PUBLISHes that the broker answered
    receipted_items: int = 0
    receipts: int = 0
    given_up_items: int = 0
    overwritten_items: int = 0
    connects: int = 0
    disconnects: int = 0


class Journal:
    """NDJSON of what happened, in order (docs/simulators.md); without a path it writes nothing."""

    def __init__(self, path: Path | None) -> None:
        self._file: TextIO | None = None
        self._path = path

    def __enter__(self) -> Self:
        if self._path is not None:
            self._file = self._path.open("w", encoding="utf-8", buffering=1 << 20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def measured(self, at_ms: int, pump_id: str, message: Message) -> None:
        if self._file is not None:
            body = wire.without_held_from(message.body).decode()
            self._file.write(f'{{"kind":"measured","at_ms":{at_ms},"pump_id":"{pump_id}","message":{body}}}\n')

    def receipt(self, at_ms: int, pump_id: str, receipt: wire.Receipt) -> None:
        if self._file is not None:
            self._file.write(
                f'{{"kind":"receipt","at_ms":{at_ms},"pump_id":"{pump_id}",'
                f'"boot":{receipt.boot},"through":{receipt.through}}}\n'
            )

    def let_go(self, kind: str, at_ms: int, pump_id: str, held: Held) -> None:
        """`kind` is `given_up` or `overwritten`."""
        if self._file is not None:
            message = held.message
            self._file.write(
                f'{{"kind":"{kind}","at_ms":{at_ms},"pump_id":"{pump_id}",'
                f'"boot":{message.boot},"seq":{message.seq},"items":{message.items}}}\n'
            )

    def link(self, kind: str, at_ms: int, connection: int) -> None:
        """`kind` is `up` or `down`."""
        if self._file is not None:
            self._file.write(f'{{"kind":"{kind}","at_ms":{at_ms},"connection":{connection}}}\n')
