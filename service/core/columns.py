"""How do telemetry payloads become rows? Each is packed as it comes; those of one length are then unpacked together.

Thousands of decoded payloads, kept as lists of numbers until the end of a batch, would leave the processor's cache and
take twice the time. Packed bytes do not.
"""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Final

import numpy as np
from msgspec import UNSET

from service.core.payload import Telemetry, UnreadableError
from service.core.reading import ITEM, MAX_READINGS_A_MESSAGE, MAX_SEQ, SEQ_BITS, EventType, Items
from service.core.rejection import Reason

_NUMBERS: Final = ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v", "delivered_ul")


class Columns:
    """The telemetry of one batch. `silent`: the messages without `delivered_ul`, in whose rows 0 stands for it."""

    def __init__(self) -> None:
        self.silent: list[int] = []
        self._singles: list[bytes] = []
        self._longer: dict[int, list[bytes]] = {}  # by the number of readings in the message

    def add(self, message: int, pump: int, said: Telemetry) -> None:
        """Take in one payload. Raises UnreadableError if its columns do not fit together."""
        delivered_ul = said.delivered_ul
        if delivered_ul is UNSET:
            delivered_ul = [0.0] * len(said.time_ms)
            self.silent.append(message)
        try:  # one reading, as live telemetry has: taken apart by name it costs half
            [time_ms], [program], [flow], [reservoir] = (
                said.time_ms,
                said.program_ml_d,
                said.flow_ml_d,
                said.reservoir_ml,
            )
            [battery], [delivered], [mode] = said.battery_v, delivered_ul, said.mode
        except ValueError:
            self._add_longer(message, pump, said, delivered_ul)
            return
        position = said.boot << SEQ_BITS | said.seq
        self._singles.append(
            _pack_single(position, message, pump, time_ms, program, flow, reservoir, battery, delivered, mode)
        )

    def _add_longer(self, message: int, pump: int, said: Telemetry, delivered_ul: list[float]) -> None:
        times_ms, programs, flows, reservoirs = said.time_ms, said.program_ml_d, said.flow_ml_d, said.reservoir_ml
        batteries, modes = said.battery_v, said.mode
        readings = len(times_ms)
        if not (
            readings
            == len(programs)
            == len(flows)
            == len(reservoirs)
            == len(batteries)
            == len(delivered_ul)
            == len(modes)
        ):
            raise UnreadableError(Reason.UNEQUAL_COLUMNS, "the columns are not equally long")
        if readings == 0:
            raise UnreadableError(Reason.NO_READINGS, "the columns are empty")
        if readings > MAX_READINGS_A_MESSAGE:
            raise UnreadableError(Reason.TOO_MANY_READINGS, f"{readings} readings, more than {MAX_READINGS_A_MESSAGE}")
        if said.seq + readings - 1 > MAX_SEQ:
            raise UnreadableError(Reason.OUT_OF_RANGE, f"seq {said.seq} and {readings} readings end after {MAX_SEQ}")
        position = said.boot << SEQ_BITS | said.seq
        numbers = (*programs, *flows, *reservoirs, *batteries, *delivered_ul)
        packed = _packer(readings)(position, message, pump, *times_ms, *numbers, b"".join(modes))
        self._longer.setdefault(readings, []).append(packed)

    def rows(self) -> list[Items]:
        """Return the rows of messages of each length, in message order, neither judged nor rounded yet."""
        by_length = {1: self._singles} | self._longer
        return [_unpacked(readings, packed) for readings, packed in by_length.items() if packed]


def _form(readings: int) -> str:
    return f"qii{readings}q{readings * len(_NUMBERS)}d{readings}s"


_pack_single: Final = Struct(_form(1)).pack


@lru_cache(maxsize=MAX_READINGS_A_MESSAGE)
def _packer(readings: int) -> Callable[..., bytes]:
    return Struct(_form(readings)).pack


def _unpacked(readings: int, packed: list[bytes]) -> Items:
    form = np.dtype(
        [
            ("position", "q"),
            ("message", "i"),
            ("pump", "i"),
            ("device_ms", "q", (readings,)),
            *((name, "d", (readings,)) for name in _NUMBERS),
            ("mode", "b", (readings,)),
        ]
    )
    messages = np.frombuffer(b"".join(packed), form)
    rows = np.zeros((len(messages), readings), ITEM)
    rows["kind"] = EventType.READING
    rows["value"] = np.nan
    rows["position"] = messages["position"][:, None] + np.arange(readings)
    for name in ("message", "pump"):
        rows[name] = messages[name][:, None]
    for name in ("device_ms", "mode", *_NUMBERS):
        rows[name] = messages[name]
    return rows.reshape(-1)
