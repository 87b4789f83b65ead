"""What does the fleet measure next, and which messages does it make of it? Simulated time; no clock, no sockets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from simulators import draws, wire
from simulators.cast import with_low_reservoirs
from simulators.faults import Fault, Timeline, events_of, touch
from simulators.fleet import Implant, nature_of
from simulators.pump import Demand, Integers, Measured, Pumps
from simulators.wire import Encoding


class Message(NamedTuple):
    """One message of one pump: `items` consecutive positions from (boot, seq). `body` lacks `held_from`."""

    pump: int
    is_event: bool
    boot: int
    seq: int
    items: int
    stamp_ms: int  # of its last reading, or of the event
    body: bytes


class Chunk(NamedTuple):
    """Some consecutive readings of every pump, columns by pump, and the events between them."""

    columns: Mapping[int, wire.Columns]  # by pump
    events: dict[int, list[tuple[int, wire.Event]]]  # by pump: (index of the reading that follows, event)


class Simulation:
    """The fleet in simulated time. The same seed and timeline give the same messages, however they are asked for."""

    def __init__(
        self,
        seed: int,
        fleet: Sequence[Implant],
        faults: Sequence[Fault],
        timeline: Timeline,
        *,
        boot: int = 1,
        encodings: Sequence[Encoding] = (Encoding.JSON,),
    ) -> None:
        self.fleet = with_low_reservoirs(fleet, faults)
        self.boot = boot
        self.now_ms = timeline.start_ms
        self.pumps = Pumps(seed, nature_of(self.fleet))
        self.next_seq = [0] * len(fleet)
        # Pumps do not report in step: each is this much ahead of the grid.
        numbers = self.pumps.nature.number
        phase = draws.uniform(draws.keys_of(seed, numbers, "phase"), 0)
        shortest_ms = min(timeline.backlog_spacing_ms, timeline.live_spacing_ms)
        self.ahead_ms: Integers = np.floor(phase * shortest_ms).astype(np.int64)
        self._encodings = [encodings[number % len(encodings)] for number in numbers.tolist()]
        self._program_ml_d = np.array([pump.program_ml_d for pump in fleet])
        self._faults = sorted(faults, key=lambda fault: fault.onset_ms)
        self._fresh = True

    def measure(self, spacing_ms: int, steps: int) -> Chunk:
        """Let `steps` spans of `spacing_ms` pass; return a reading of every pump for each."""
        chunk_events: dict[int, list[tuple[int, wire.Event]]] = {}
        if self._fresh:
            self._fresh = False
            for pump, ahead_ms in enumerate(self.ahead_ms.tolist()):
                started = wire.Event(self.now_ms - ahead_ms, "started", {"reason": "power_on"})
                chunk_events[pump] = [(0, started)]
        measured = []
        first_ms = self.now_ms + spacing_ms
        for step in range(steps):
            for pump, event in self._happenings(spacing_ms):
                chunk_events.setdefault(pump, []).append((step, event))
            measured.append(self.pumps.advance(spacing_ms / 1000, self._demand(spacing_ms)))
            self.now_ms += spacing_ms
        stamps_ms = first_ms + spacing_ms * np.arange(steps) - self.ahead_ms[:, None]
        return Chunk(self._columns(stamps_ms, measured), chunk_events)

    def messages(self, chunk: Chunk, pumps: Iterable[int] | None = None) -> Iterator[Message]:
        """Put a chunk into messages and number them; `pumps` is who, in which order, each at most once a chunk."""
        for pump in range(len(self.fleet)) if pumps is None else pumps:
            columns = chunk.columns[pump]
            done = 0
            for following, event in chunk.events.get(pump, ()):
                if following > done:
                    yield self._readings(pump, columns, done, following)
                    done = following
                yield self._event(pump, event)
            if done < len(columns.time_ms):
                yield self._readings(pump, columns, done, len(columns.time_ms))

    def _demand(self, spacing_ms: int) -> Demand:
        count = len(self.fleet)
        demand = Demand(
            self._program_ml_d.copy(), np.full(count, wire.RUNNING, dtype=np.int64), np.ones(count), np.ones(count)
        )
        for fault in self._at_work(spacing_ms):
            to_ms = self.now_ms + spacing_ms - int(self.ahead_ms[fault.pump])
            touch(fault, self.fleet[fault.pump], demand, to_ms - spacing_ms, to_ms)
        return demand

    def _happenings(self, spacing_ms: int) -> list[tuple[int, wire.Event]]:
        found: list[tuple[int, wire.Event]] = []
        for fault in self._at_work(spacing_ms):
            to_ms = self.now_ms + spacing_ms - int(self.ahead_ms[fault.pump])
            events = events_of(fault, self.fleet[fault.pump], self.pumps, to_ms - spacing_ms, to_ms)
            found += [(fault.pump, event) for event in events]
        return found

    def _at_work(self, spacing_ms: int) -> list[Fault]:
        """Faults that may touch the next span. One that is over for every pump is forgotten."""
        gone_ms = self.now_ms - spacing_ms - int(self.ahead_ms.max(initial=0))
        self._faults = [fault for fault in self._faults if not fault.over_by(gone_ms)]
        return [fault for fault in self._faults if fault.onset_ms <= self.now_ms + spacing_ms]

    def _columns(self, stamps_ms: Integers, measured: list[Measured]) -> dict[int, wire.Columns]:
        mode, program, flow, reservoir, battery, delivered = (
            np.stack(column, axis=1).tolist() for column in zip(*measured, strict=True)
        )
        by_pump = zip(stamps_ms.tolist(), mode, program, flow, reservoir, battery, delivered, strict=True)
        return {
            pump: wire.Columns(
                stamps, modes, programs, flows, levels, volts, None if self.fleet[pump].sensor else counts
            )
            for pump, (stamps, modes, programs, flows, levels, volts, counts) in enumerate(by_pump)
        }

    def _readings(self, pump: int, columns: wire.Columns, begin: int, end: int) -> Message:
        if end - begin < len(columns.time_ms):
            columns = columns.part(begin, end)
        seq = self._take(pump, end - begin)
        body = wire.telemetry_body(self.boot, seq, columns, self._encodings[pump])
        return Message(pump, False, self.boot, seq, end - begin, columns.time_ms[-1], body)  # noqa: FBT003

    def _event(self, pump: int, event: wire.Event) -> Message:
        seq = self._take(pump, 1)
        body = wire.event_body(self.boot, seq, event, self._encodings[pump])
        return Message(pump, True, self.boot, seq, 1, event.time_ms, body)  # noqa: FBT003

    def _take(self, pump: int, count: int) -> int:
        seq = self.next_seq[pump]
        self.next_seq[pump] += count
        return seq
