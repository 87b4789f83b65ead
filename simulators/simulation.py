"""What does the fleet measure next, and which messages does it make of it? Simulated time; no clock, no sockets."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from simulators import draws, wire
from simulators.care import visits_of
from simulators.cast import with_low_reservoirs
from simulators.clocks import Clock
from simulators.draws import Integers
from simulators.faults import MISSED_REFILLS, Fault, Timeline, of_whole_sites
from simulators.fleet import Implant, nature_of
from simulators.keeping import CONCERNED, Keeping
from simulators.labels import Label, labels_of
from simulators.levels import Levels, with_consequences
from simulators.pump import Measured, Pumps
from simulators.sensors import DRIFT_TAU_S
from simulators.stories import told
from simulators.wire import Encoding
from simulators.work import Work


class Message(NamedTuple):
    """One message of one pump: `items` consecutive positions from (boot, seq). `body` lacks `held_from`."""

    pump: int
    is_event: bool
    boot: int
    seq: int
    items: int
    stamp_ms: int  # of its last reading, or of the event, in true time: the pump's own clock may be off
    body: bytes
    held_from: tuple[int, int] | None = None  # where it is not its own position: something older is still on its way


class Chunk(NamedTuple):
    """Some consecutive readings of every pump, columns by pump, and the events between them; all in true time."""

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
        visits: bool = True,
        in_step: bool = False,
        drift_tau_s: float = DRIFT_TAU_S,
    ) -> None:
        self.fleet = with_low_reservoirs(fleet, faults, timeline.start_ms)
        self.timeline = timeline
        self.boot = boot
        self.now_ms = timeline.start_ms
        # Pumps do not report in step, but where a story is told: each is this much ahead of the grid.
        numbers = np.array([pump.number for pump in self.fleet], dtype=np.int64)
        phase = draws.uniform(draws.keys_of(seed, numbers, "phase"), 0)
        shortest_ms = 0 if in_step else min(timeline.backlog_spacing_ms, timeline.live_spacing_ms)
        self.ahead_ms: Integers = np.floor(phase * shortest_ms).astype(np.int64)
        nature = nature_of(self.fleet, timeline.start_ms)
        self.pumps = Pumps(seed, nature, timeline.start_ms - self.ahead_ms, drift_tau_s)
        self.boots = [boot] * len(fleet)
        self.next_seq = [0] * len(fleet)
        self.faults = of_whole_sites(faults, self.fleet)
        self._encodings = [encodings[number % len(encodings)] for number in numbers.tolist()]
        self._work = Work(self.fleet, self.ahead_ms.tolist(), self.faults)
        if visits:
            missed = {fault.pump for fault in faults if fault.kind in MISSED_REFILLS}
            for moment in visits_of(self.fleet, timeline, missed):
                self._work.plan(moment)
        self._levels = Levels(self.fleet)
        self._keeping: dict[int, Keeping] = {}  # of pumps that do not keep as they should
        self._fresh = True
        for fault in self.faults:
            self._know(fault)
        right_ms = timeline.live_from_ms if timeline.live_s else timeline.start_ms
        self._clocks = [
            Clock(right_ms, round(implant.clock_ppm * 1000), is_set=pump not in self._keeping)
            for pump, implant in enumerate(self.fleet)
        ]
        for pump, clock in enumerate(self._clocks):
            for at_ms, before_ms in clock.settings(timeline.start_ms, timeline.end_ms):
                self._work.plan(told(pump, at_ms, "clock_set", before_ms=before_ms))

    def inject(self, fault: Fault) -> None:
        """Let a fault or decoy be at work from now on, or from its onset if that is still to come."""
        now_ms = self.now_ms - int(self.ahead_ms[fault.pump])
        late_ms = max(now_ms + 1 - fault.onset_ms, 0)
        began = replace(
            fault,
            onset_ms=fault.onset_ms + late_ms,
            end_ms=None if fault.end_ms is None else fault.end_ms + late_ms,
        )
        if began.kind in MISSED_REFILLS:
            self.pumps.true_ml[fault.pump] = self.pumps.computed_ml[fault.pump] = fault.value
        for each in of_whole_sites([began], self.fleet):
            self.faults.append(each)
            self._work.add(each)
            self._know(each)

    def labels(self) -> list[Label]:
        """What was injected, and what else has become of the pumps so far that must be noticed."""
        return with_consequences(labels_of(self.faults, self.fleet, self.timeline), self._levels.labels())

    def measure(self, spacing_ms: int, steps: int) -> Chunk:
        """Let `steps` spans of `spacing_ms` pass; return a reading of every pump for each."""
        happened: dict[int, list[tuple[int, wire.Event]]] = {}
        if self._fresh:
            self._fresh = False
            for pump, ahead_ms in enumerate(self.ahead_ms.tolist()):
                happened[pump] = [(0, wire.Event(self.now_ms - ahead_ms, "started", {"reason": "power_on"}))]
        begin_ms, end_ms = self.now_ms, self.now_ms + spacing_ms * steps
        measured: list[Measured] = []
        while (next_one := self._work.next_moment(end_ms)) is not None:
            at_ms, moment = next_one
            step = max(-(-(at_ms - begin_ms) // spacing_ms) - 1, 0)
            if moment.between:
                self._run(measured, spacing_ms, begin_ms + step * spacing_ms)
            event = moment.act(self.pumps)
            if event is not None:
                happened.setdefault(moment.pump, []).append((step, event))
                if event.type == "refill":
                    self._levels.refilled(moment.pump)
        self._run(measured, spacing_ms, end_ms)
        for pump, at_ms, what, fields in self.pumps.take_said():
            step = max(-(-(at_ms + int(self.ahead_ms[pump]) - begin_ms) // spacing_ms) - 1, 0)
            self._levels.told(pump, at_ms, fields.get("code"))
            happened.setdefault(pump, []).append((step, wire.Event(at_ms, what, fields)))
        for events in happened.values():
            events.sort(key=_when)
        grid_ms: Integers = begin_ms + spacing_ms * np.arange(1, steps + 1)
        return Chunk(self._columns(grid_ms - self.ahead_ms[:, None], measured), happened)

    def _run(self, measured: list[Measured], spacing_ms: int, until_ms: int) -> None:
        """Let the spans up to this moment of the grid pass."""
        steps = (until_ms - self.now_ms) // spacing_ms
        if not steps:
            return
        demand = self.pumps.demand(spacing_ms, steps)
        self._work.touch(demand, self.now_ms + spacing_ms * np.arange(1, steps + 1), spacing_ms)
        measured.append(self.pumps.run(spacing_ms, demand))
        self._levels.look(self.now_ms, spacing_ms, measured[-1])
        self.now_ms = until_ms

    def messages(
        self,
        chunk: Chunk,
        pumps: Iterable[int] | None = None,
        at_most: int = wire.MAX_READINGS_A_MESSAGE,
        singly: Collection[int] = (),
    ) -> Iterator[Message]:
        """Put a chunk into messages of `at_most` readings and number them.

        `pumps` is who, in which order, each at most once a chunk; those in `singly` send one reading a message.
        """
        for pump in range(len(self.fleet)) if pumps is None else pumps:
            most = 1 if pump in singly else at_most
            keeping = self._keeping.get(pump)
            columns, events = chunk.columns[pump], chunk.events.get(pump, [])
            breaks = [*events] if keeping is None else keeping.breaks(columns.time_ms, events)
            count = len(columns.time_ms)
            if count > most:
                breaks = sorted([*breaks, *((cut, None) for cut in range(most, count, most))], key=_index)
            done = 0
            for following, event in [*breaks, (count, None)]:
                if following > done:
                    part = columns if following - done == count else columns.part(done, following)
                    yield from self._kept(self._readings(pump, part, keeping), keeping)
                    done = following
                if event is not None:
                    yield from self._kept(self._event(pump, event, keeping), keeping)

    def _know(self, fault: Fault) -> None:
        if fault.kind in CONCERNED:
            self._keeping.setdefault(fault.pump, Keeping(self.fleet[fault.pump])).add(fault)

    def _columns(self, stamps_ms: Integers, measured: Sequence[Measured]) -> dict[int, wire.Columns]:
        mode, program, flow, reservoir, battery, delivered = (
            np.concatenate(column).T.tolist() for column in zip(*measured, strict=True)
        )
        by_pump = zip(stamps_ms.tolist(), mode, program, flow, reservoir, battery, delivered, strict=True)
        return {
            pump: wire.Columns(
                stamps, modes, programs, flows, levels, volts, None if self.fleet[pump].sensor else counts
            )
            for pump, (stamps, modes, programs, flows, levels, volts, counts) in enumerate(by_pump)
        }

    def _readings(self, pump: int, columns: wire.Columns, keeping: Keeping | None) -> Message:
        items, stamp_ms = len(columns.time_ms), columns.time_ms[-1]
        seq = self._take(pump, items)
        columns = columns._replace(time_ms=self._shown(pump, columns.time_ms, keeping))
        body = wire.telemetry_body(self.boots[pump], seq, columns, self._encodings[pump])
        return Message(pump, False, self.boots[pump], seq, items, stamp_ms, body)  # noqa: FBT003

    def _event(self, pump: int, event: wire.Event, keeping: Keeping | None) -> Message:
        if event.type == "started" and self.next_seq[pump]:
            self.boots[pump] += 1
            self.next_seq[pump] = 0
        seq = self._take(pump, 1)
        told = event._replace(time_ms=self._shown(pump, [event.time_ms], keeping)[0])
        body = wire.event_body(self.boots[pump], seq, told, self._encodings[pump])
        return Message(pump, True, self.boots[pump], seq, 1, event.time_ms, body)  # noqa: FBT003

    def _shown(self, pump: int, stamps_ms: list[int], keeping: Keeping | None) -> list[int]:
        """What the pump's own clock shows: it drifts, and may be off besides."""
        clock = self._clocks[pump]
        if keeping is None:
            return clock.shown_ms(stamps_ms)
        return [max(keeping.clock_ms(each) + clock.off_ms(each), 0) for each in stamps_ms]

    def _kept(self, message: Message, keeping: Keeping | None) -> Iterator[Message]:
        if keeping is None:
            yield message
        elif not keeping.is_lost(message.stamp_ms):
            yield message._replace(body=keeping.body(message.body, message.stamp_ms))

    def _take(self, pump: int, count: int) -> int:
        seq = self.next_seq[pump]
        self.next_seq[pump] += count
        return seq


def _index(happened: tuple[int, wire.Event | None]) -> int:
    return happened[0]


def _when(happened: tuple[int, wire.Event]) -> tuple[int, int]:
    return happened[0], happened[1].time_ms
