"""How do telemetry payloads become rows? Each is packed as it comes; those of one length are then unpacked together.

Thousands of decoded payloads, kept as lists of numbers until the end of a batch, would leave the processor's cache and
take twice the time. Packed bytes do not.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from struct import Struct
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from service.core.payload import Telemetry, UnreadableError
from service.core.reading import ITEM, MAX_READINGS_A_MESSAGE, MAX_SEQ, SEQ_BITS, EventType, Items
from service.core.rejection import Reason

_NUMBERS: Final = ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v", "delivered_ul")

Heads = npt.NDArray[np.void]
"""One a message: whose it is, what it says as a whole, and its columns as they were packed."""


class Columns:
    """The telemetry of one batch."""

    def __init__(self) -> None:
        self._singles: list[bytes] = []
        self._longer: dict[int, list[bytes]] = {}  # by the number of readings in the message

    def add(self, message: int, pump: int, said: Telemetry) -> None:
        """Take in one payload. Raises UnreadableError if its columns do not fit together."""
        delivered_ul = [0.0] * len(said.time_ms) if said.delivered_ul is UNSET else said.delivered_ul
        try:  # one reading, as live telemetry has: taken apart by name it costs half
            [time_ms], [program], [flow] = said.time_ms, said.program_ml_d, said.flow_ml_d
            [reservoir], [battery], [delivered], [mode] = said.reservoir_ml, said.battery_v, delivered_ul, said.mode
        except ValueError:
            self._add_longer(message, pump, said, delivered_ul)
            return
        held_boot, held_seq = said.held_from
        self._singles.append(
            _pack_single(
                said.boot,
                said.seq,
                held_boot,
                held_seq,
                message,
                pump,
                time_ms,
                program,
                flow,
                reservoir,
                battery,
                delivered,
                mode,
                said.simulated,
                said.delivered_ul is not UNSET,
            )
        )

    def _add_longer(self, message: int, pump: int, said: Telemetry, delivered_ul: list[float]) -> None:
        readings = len(said.time_ms)
        if not (
            readings
            == len(said.program_ml_d)
            == len(said.flow_ml_d)
            == len(said.reservoir_ml)
            == len(said.battery_v)
            == len(delivered_ul)
            == len(said.mode)
        ):
            raise UnreadableError(Reason.UNEQUAL_COLUMNS, "the columns are not equally long")
        if readings == 0:
            raise UnreadableError(Reason.NO_READINGS, "the columns are empty")
        if readings > MAX_READINGS_A_MESSAGE:
            raise UnreadableError(Reason.TOO_MANY_READINGS, f"{readings} readings, more than {MAX_READINGS_A_MESSAGE}")
        if said.seq + readings - 1 > MAX_SEQ:
            raise UnreadableError(Reason.OUT_OF_RANGE, f"seq {said.seq} and {readings} readings end after {MAX_SEQ}")
        self._longer.setdefault(readings, []).append(
            _packer(readings)(
                *(said.boot, said.seq, *said.held_from, message, pump),
                *said.time_ms,
                *said.program_ml_d,
                *said.flow_ml_d,
                *said.reservoir_ml,
                *said.battery_v,
                *delivered_ul,
                b"".join(said.mode),
                *(said.simulated, said.delivered_ul is not UNSET),
            )
        )

    def unpacked(self) -> Iterator[tuple[Items, Heads]]:
        """Yield the rows of messages of each length, in message order, neither judged nor rounded yet."""
        for readings, packed in ({1: self._singles} | self._longer).items():
            if packed:
                heads = np.frombuffer(b"".join(packed), _form(readings))
                yield _rows(heads, readings), heads


def _layout(readings: int) -> str:
    return f"qqqqii{readings}q{readings * len(_NUMBERS)}d{readings}s??"


_pack_single: Final = Struct(_layout(1)).pack


@lru_cache(maxsize=MAX_READINGS_A_MESSAGE)
def _packer(readings: int) -> Callable[..., bytes]:
    return Struct(_layout(readings)).pack


def _form(readings: int) -> np.dtype[np.void]:
    """The same layout, to NumPy."""
    return np.dtype(
        [
            *((name, "q") for name in ("boot", "seq", "held_boot", "held_seq")),
            *((name, "i") for name in ("message", "pump")),
            ("device_ms", "q", (readings,)),
            *((name, "d", (readings,)) for name in _NUMBERS),
            ("mode", "b", (readings,)),
            *((name, "?") for name in ("simulated", "says_delivered")),
        ]
    )


def _rows(heads: Heads, readings: int) -> Items:
    rows = np.zeros((len(heads), readings), ITEM)
    rows["kind"] = EventType.READING
    rows["value"] = rows["second"] = np.nan
    rows["code"] = -1
    first = heads["boot"] << SEQ_BITS | heads["seq"]
    rows["position"] = first[:, None] + np.arange(readings)
    for name in ("message", "pump"):
        rows[name] = heads[name][:, None]
    for name in ("device_ms", "mode", *_NUMBERS):
        rows[name] = heads[name]
    return rows.reshape(-1)
