"""What would the fleet have sent? Its wire messages as a stream of lines, without a broker and without a clock."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from simulators import wire
from simulators.cast import cast
from simulators.faults import ON_THE_WAY, Fault, Timeline
from simulators.fleet import Implant, fleet_of
from simulators.keeping import CONCERNED
from simulators.labels import Label
from simulators.plan import boot_at
from simulators.sensors import DRIFT_TAU_S
from simulators.simulation import Message, Simulation
from simulators.way import Way

TRANSIT_MS: Final = 150  # from a pump to us
STEPS_AT_ONCE: Final = 60
MOST_SPREAD_MS: Final = 4 * 3_600_000
"""A message stands for no more than this: `rules backtest` waits so long until it knows what a moment brought."""


def _nobody(_share: float) -> None:
    """Nobody wants to know how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What `pumpsim generate` was asked for."""

    pumps: int
    hours: float
    interval_s: float
    seed: int
    prefix: str
    faults: str
    start_ms: int
    readings_a_message: int
    drift_tau_h: float = DRIFT_TAU_S / 3600


class Generated:
    """A stream, to be read once: `lines` of `{"topic", "received_ms", "payload"}`, by `received_ms`; and its labels.

    `timed_lines` are the same with their `received_ms`. `show` is told the share of the time that has been generated.
    """

    def __init__(
        self,
        simulation: Simulation,
        readings_a_message: int,
        show: Callable[[float], None] = _nobody,
    ) -> None:
        self._simulation = simulation
        most = MOST_SPREAD_MS // simulation.timeline.backlog_spacing_ms + 1
        readings_a_message = self._readings_a_message = min(readings_a_message, most)
        # Whole messages, and enough of them: many spans at once cost least.
        self._steps_at_once = readings_a_message * max(STEPS_AT_ONCE // readings_a_message, 1)
        self._show = show
        self.fleet: Sequence[Implant] = simulation.fleet
        self.timed_lines: Iterator[tuple[int, bytes]] = self._timed_lines()
        self.lines: Iterator[bytes] = (line for _, line in self.timed_lines)

    def labels(self) -> list[Label]:
        """What was injected, and what has come about besides in what was generated so far: ask after the last line."""
        return self._simulation.labels()

    def _timed_lines(self) -> Iterator[tuple[int, bytes]]:
        simulation, spacing_ms = self._simulation, self._simulation.timeline.backlog_spacing_ms
        left = whole = simulation.timeline.backlog_steps
        way = Way(simulation.faults)
        # What happens to a message happens to one reading, however many others are put into one to save time.
        singly = {fault.pump for fault in simulation.faults if fault.kind in ON_THE_WAY | CONCERNED}
        waiting: list[tuple[int, int, Message]] = []  # by when it is sent; a pump's own stay in order
        number = 0
        while left:
            steps = min(self._steps_at_once, left)
            left -= steps
            chunk = simulation.measure(spacing_ms, steps)
            for made in simulation.messages(chunk, at_most=self._readings_a_message, singly=singly):
                for message in way.carry(made):
                    number += 1
                    heapq.heappush(waiting, (message.stamp_ms, number, message))
            # Pumps are up to one reading out of step, so that the next chunk may begin before this one ends.
            sure_ms = simulation.now_ms - spacing_ms
            while waiting and (not left or waiting[0][0] <= sure_ms):
                yield self._line(heapq.heappop(waiting)[-1])
            self._show(1 - left / whole)

    def _line(self, message: Message) -> tuple[int, bytes]:
        pump_id = self.fleet[message.pump].pump_id
        topic = wire.event_topic(pump_id) if message.is_event else wire.telemetry_topic(pump_id)
        payload = wire.close(message.body, message.held_from or (message.boot, message.seq))
        received_ms = message.stamp_ms + TRANSIT_MS
        # A message of many readings stands for one a reading, each sent as soon as it was measured.
        spread_ms = (message.items - 1) * self._simulation.timeline.backlog_spacing_ms
        spread = b',"spread_ms":%d' % spread_ms if spread_ms else b""
        return received_ms, b'{"topic":"%b","received_ms":%d%b,"payload":%b}\n' % (
            topic.encode(),
            received_ms,
            spread,
            payload,
        )


def lines_of(stream: Stream, show: Callable[[float], None] = _nobody) -> Generated:
    """The stream of a fleet with what `faults` asks for (see `cast`)."""
    spacing_ms = round(stream.interval_s * 1000)
    timeline = Timeline(stream.start_ms, spacing_ms, round(stream.hours * 3_600_000) // spacing_ms, spacing_ms)
    fleet = fleet_of(stream.seed, stream.pumps, prefix=stream.prefix, interval_s=stream.interval_s)
    faults = cast(stream.faults, fleet, stream.seed, timeline)
    return generated(stream.seed, fleet, faults, timeline, stream.readings_a_message, show, stream.drift_tau_h)


def generated(
    seed: int,
    fleet: Sequence[Implant],
    faults: Sequence[Fault],
    timeline: Timeline,
    readings_a_message: int,
    show: Callable[[float], None] = _nobody,
    drift_tau_h: float = DRIFT_TAU_S / 3600,
    *,
    visits: bool = True,
    in_step: bool = False,
) -> Generated:
    """The stream of these pumps with these faults. Without `visits` nobody refills them."""
    simulation = Simulation(
        seed,
        fleet,
        faults,
        timeline,
        boot=boot_at(timeline.start_ms),
        visits=visits,
        in_step=in_step,
        drift_tau_s=3600 * drift_tau_h,
    )
    return Generated(simulation, readings_a_message, show)
