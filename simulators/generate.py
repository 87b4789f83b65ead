"""What would the fleet have sent? Its wire messages as a stream of lines, without a broker and without a clock."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from simulators import wire
from simulators.cast import cast
from simulators.faults import Label, Timeline, labels_of
from simulators.fleet import fleet_of
from simulators.plan import boot_at
from simulators.simulation import Message, Simulation

TRANSIT_MS: Final = 150  # from a pump to us


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


def lines_of(
    stream: Stream, show: Callable[[float], None] = lambda _share: None
) -> tuple[list[Label], Iterator[bytes]]:
    """The labels, and the lines `{"topic", "received_ms", "payload"}` in order of `received_ms`.

    `show` is told the share of the time that has been generated.
    """
    spacing_ms = round(stream.interval_s * 1000)
    timeline = Timeline(stream.start_ms, spacing_ms, round(stream.hours * 3_600_000) // spacing_ms, spacing_ms)
    fleet = fleet_of(stream.seed, stream.pumps, prefix=stream.prefix, interval_s=stream.interval_s)
    faults = cast(stream.faults, fleet, stream.seed, timeline)
    simulation = Simulation(stream.seed, fleet, faults, timeline, boot=boot_at(stream.start_ms))
    return labels_of(faults, fleet, timeline), _lines(stream, timeline, simulation, show)


def _lines(
    stream: Stream, timeline: Timeline, simulation: Simulation, show: Callable[[float], None]
) -> Iterator[bytes]:
    left = timeline.backlog_steps
    waiting: list[Message] = []
    while left:
        steps = min(stream.readings_a_message, left)
        left -= steps
        waiting += simulation.messages(simulation.measure(timeline.backlog_spacing_ms, steps))
        waiting.sort(key=lambda message: message.stamp_ms)  # stable: a pump's own stay in order
        # Pumps are up to one reading out of step, so that the next chunk may begin before this one ends.
        sure_ms = simulation.now_ms - timeline.backlog_spacing_ms if left else simulation.now_ms
        sure = bisect_right(waiting, sure_ms, key=lambda message: message.stamp_ms)
        for message in waiting[:sure]:
            yield _line(simulation, message)
        del waiting[:sure]
        show(1 - left / timeline.backlog_steps)


def _line(simulation: Simulation, message: Message) -> bytes:
    pump_id = simulation.fleet[message.pump].pump_id
    topic = wire.event_topic(pump_id) if message.is_event else wire.telemetry_topic(pump_id)
    payload = wire.close(message.body, (message.boot, message.seq))
    return b'{"topic":"%b","received_ms":%d,"payload":%b}\n' % (
        topic.encode(),
        message.stamp_ms + TRANSIT_MS,
        payload,
    )
