"""How does a pump stamp and keep what it measured? A clock that is off, readings that are lost or damaged, restarts."""

from collections.abc import Iterator, Sequence
from typing import Final

from simulators import wire
from simulators.acts import lock_falls_silent_ms
from simulators.faults import HOUR_MS, Fault, Kind
from simulators.fleet import Implant

CONCERNED: Final = frozenset({Kind.CLOCK_JUMP, Kind.CLOCK_DRIFT, Kind.LOST, Kind.CORRUPTED, Kind.TELEMETRY_LOCK})
_BROKEN: Final = ((b"flow_ml_d", b"flow_ml_D"), (b'"type"', b'"tYpe"'), (b"\xa4type", b"\xa4tYpe"))
"""A key with one bit turned over is one that nobody knows, and the one that was meant is missing."""


class Keeping:
    """How one pump keeps. Times come as true ones."""

    def __init__(self, implant: Implant) -> None:
        self._implant = implant
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clock_ms(self, true_ms: int) -> int:
        """What the pump's own clock shows."""
        off_ms = 0.0
        for fault in self._faults:
            if fault.kind is Kind.CLOCK_JUMP and fault.is_on(true_ms):
                off_ms += fault.value * HOUR_MS
            if fault.kind is Kind.CLOCK_DRIFT and true_ms > fault.onset_ms:
                until_ms = true_ms if fault.end_ms is None else min(true_ms, fault.end_ms)
                off_ms += (until_ms - fault.onset_ms) * fault.value * 1e-6
        return max(true_ms + round(off_ms), 0)

    def breaks(
        self, stamps_ms: Sequence[int], events: Sequence[tuple[int, wire.Event]]
    ) -> list[tuple[int, wire.Event | None]]:
        """Where a message must end: before an event, and where readings begin or end to be kept in another way."""
        edges = [
            (index, None)
            for index in range(1, len(stamps_ms))
            if self._manner(stamps_ms[index - 1]) != self._manner(stamps_ms[index])
        ]
        return sorted([*edges, *events], key=lambda each: each[0])

    def is_lost(self, true_ms: int) -> bool:
        return any(
            (fault.kind is Kind.LOST and fault.is_on(true_ms))
            or (
                fault.kind is Kind.TELEMETRY_LOCK
                and fault.is_on(true_ms)
                and true_ms > lock_falls_silent_ms(fault, self._implant)
            )
            for fault in self._faults
        )

    def body(self, body: bytes, true_ms: int) -> bytes:
        """The message as the pump keeps it: damaged while its memory is."""
        if not any(fault.kind is Kind.CORRUPTED and fault.is_on(true_ms) for fault in self._faults):
            return body
        for sound, broken in _BROKEN:
            body = body.replace(sound, broken, 1)
        return body

    def _manner(self, true_ms: int) -> tuple[bool, ...]:
        return tuple(self._states(true_ms))

    def _states(self, true_ms: int) -> Iterator[bool]:
        yield self.is_lost(true_ms)
        for fault in self._faults:
            yield fault.kind in {Kind.CORRUPTED, Kind.CLOCK_JUMP} and fault.is_on(true_ms)
