"""How do telemetry payloads become rows? Their columns are laid end to end, without a loop over readings."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import add
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from service.core.payload import Telemetry
from service.core.reading import ITEM, MAX_READINGS_A_MESSAGE, MAX_SEQ, SEQ_BITS, EventType, Items
from service.core.rejection import Reason, Rejection

_VALUES: Final = ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v", "delivered_ul")


@dataclass(slots=True)
class Telemetries:
    """Payloads, each beside the message it came in and its pump."""

    messages: list[int] = field(default_factory=list)
    pumps: list[int] = field(default_factory=list)
    payloads: list[Telemetry] = field(default_factory=list)


@dataclass(slots=True)
class Laid:
    """Rows in message order, not yet rounded or judged; 0 stands in `delivered_ul` where `delivered_said` is false."""

    items: Items
    delivered_said: npt.NDArray[np.bool_]  # one a row
    messages: list[int]  # those that have rows; beside them, one each:
    held_from: npt.NDArray[np.int64]
    simulated: npt.NDArray[np.bool_]
    rejections: list[Rejection]


def lay(telemetries: Telemetries) -> Laid:
    """Lay the payloads end to end, leaving out and rejecting those whose columns do not fit together."""
    rejections: list[Rejection] = []
    columns = _Columns(telemetries.payloads)
    if not columns.fit_together:
        telemetries, rejections = _split(telemetries)
        columns = _Columns(telemetries.payloads)
    length = np.array(columns.lengths, np.int64)
    rows = int(length.sum())
    ends = np.cumsum(length)
    first_position = _positions(columns.boot, columns.seq)
    items = np.zeros(rows, ITEM)
    items["kind"] = EventType.READING
    items["pump"] = np.repeat(np.array(telemetries.pumps, np.int32), length)
    items["message"] = np.repeat(np.array(telemetries.messages, np.int32), length)
    items["position"] = np.arange(rows) + np.repeat(first_position - (ends - length), length)
    items["device_ms"] = _packed("q", rows, columns.time_ms)
    items["mode"] = np.frombuffer(b"".join(chain.from_iterable(columns.mode)), np.int8)
    values = _packed("d", rows * len(_VALUES), chain.from_iterable(columns.values)).reshape(len(_VALUES), rows)
    for name, column in zip(_VALUES, values, strict=True):
        items[name] = column
    return Laid(
        items=items,
        delivered_said=np.repeat(np.array(columns.delivered_said, bool), length),
        messages=telemetries.messages,
        held_from=_positions(*zip(*columns.held_from, strict=True)) if columns.held_from else np.empty(0, np.int64),
        simulated=np.array(columns.simulated, bool),
        rejections=rejections,
    )


class _Columns:
    """The same key of all payloads side by side: each attribute holds one entry a payload."""

    def __init__(self, payloads: Sequence[Telemetry]) -> None:
        transposed: Iterable[tuple[Any, ...]] = zip(*map(msgspec.structs.astuple, payloads), strict=True)
        (
            self.boot,
            self.seq,
            self.held_from,
            self.time_ms,
            self.mode,
            *self.values,
            delivered_ul,
            self.simulated,
        ) = transposed if payloads else ((),) * len(Telemetry.__struct_fields__)
        self.lengths = list(map(len, self.time_ms))
        self.delivered_said = [column is not msgspec.UNSET for column in delivered_ul]
        if not all(self.delivered_said):
            delivered_ul = tuple(
                column if said else [0.0] * length
                for column, said, length in zip(delivered_ul, self.delivered_said, self.lengths, strict=True)
            )
        self.values.append(delivered_ul)

    @property
    def fit_together(self) -> bool:
        """Whether no payload at all is misshapen."""
        return (
            all(list(map(len, column)) == self.lengths for column in (self.mode, *self.values))
            and min(self.lengths, default=1) >= 1
            and max(self.lengths, default=1) <= MAX_READINGS_A_MESSAGE
            and max(map(add, self.seq, self.lengths), default=0) <= MAX_SEQ + 1
        )


def _positions(boot: Sequence[int], seq: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(boot, np.int64) << SEQ_BITS | np.array(seq, np.int64)


def _packed(code: str, length: int, lists: Iterable[Sequence[float]]) -> npt.NDArray[Any]:
    """Flatten `lists` of ints (`q`) or floats (`d`): twice as fast as any way through `numpy.array`."""
    return np.frombuffer(struct.pack(f"{length}{code}", *chain.from_iterable(lists)), f"{code}")


def _split(telemetries: Telemetries) -> tuple[Telemetries, list[Rejection]]:
    sound = Telemetries()
    rejections = []
    for message, pump, payload in zip(telemetries.messages, telemetries.pumps, telemetries.payloads, strict=True):
        rejection = _misshapen(message, payload)
        if rejection is None:
            sound.messages.append(message)
            sound.pumps.append(pump)
            sound.payloads.append(payload)
        else:
            rejections.append(rejection)
    return sound, rejections


def _misshapen(message: int, payload: Telemetry) -> Rejection | None:
    lengths = {
        name: len(column) for name, column in msgspec.structs.asdict(payload).items() if isinstance(column, list)
    }
    length = lengths["time_ms"]
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        return Rejection(message, Reason.UNEQUAL_COLUMNS, told)
    if length == 0:
        return Rejection(message, Reason.NO_READINGS, "all columns are empty")
    if length > MAX_READINGS_A_MESSAGE:
        return Rejection(message, Reason.TOO_MANY_READINGS, f"{length}, more than {MAX_READINGS_A_MESSAGE}")
    if payload.seq + length - 1 > MAX_SEQ:
        return Rejection(message, Reason.OUT_OF_RANGE, f"seq {payload.seq} and {length} readings end after {MAX_SEQ}")
    return None
