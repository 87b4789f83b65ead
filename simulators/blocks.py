"""Which pumps are simulated together? A fleet, or one process's share of it, in blocks: no step of it takes long."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from simulators import wire
from simulators.faults import UNHEARD, Fault, Timeline
from simulators.fleet import Implant
from simulators.simulation import Chunk, Message, Simulation
from simulators.wire import Encoding

PUMPS_A_BLOCK: Final = 2_000
SLICE_MS: Final = (20, 100)  # ms that pumps are apart which are served together
SLICES_A_SPAN: Final = 200


class Shard(NamedTuple):
    """Which of `processes` this one is, from 1. All of them together are the fleet of a single one."""

    number: int = 1
    processes: int = 1

    def share_of(self, pumps: int) -> range:
        """The indices of this shard's pumps: consecutive ones."""
        return range((self.number - 1) * pumps // self.processes, self.number * pumps // self.processes)


ALONE: Final = Shard()


class Block:
    """Consecutive pumps of the fleet, and the chunks of theirs that are not yet all sent."""

    def __init__(self, first: int, simulation: Simulation) -> None:
        self.first = first  # the index in the fleet of its first pump
        self.simulation = simulation
        self.slices = _slices(simulation.ahead_ms.tolist())  # how far ahead of the grid, and who
        self.ends_ms: list[int] = []  # of each chunk that was planned: the fleet's time
        self.unsent: dict[int, tuple[Chunk, int]] = {}  # by number: the chunk, and how many slices want it yet
        self.measured = 0

    @property
    def pumps(self) -> range:
        return range(self.first, self.first + len(self.simulation.fleet))

    def end_of(self, number: int, spacing_ms: int) -> int:
        """When chunk `number` ends. The spacing counts for who asks first."""
        while len(self.ends_ms) <= number:
            began_ms = self.ends_ms[-1] if self.ends_ms else self.simulation.now_ms
            self.ends_ms.append(began_ms + spacing_ms)
        return self.ends_ms[number]

    def measure_to(self, number: int) -> None:
        """Measure every planned chunk up to this one."""
        while self.measured <= number:
            chunk = self.simulation.measure(self.ends_ms[self.measured] - self.simulation.now_ms, 1)
            self.unsent[self.measured] = chunk, len(self.slices)
            self.measured += 1

    def take(self, number: int) -> Chunk:
        """Return a chunk for one of its slices; after the last one it is forgotten."""
        self.measure_to(number)
        chunk, wanted = self.unsent[number]
        if wanted == 1:
            del self.unsent[number]
        else:
            self.unsent[number] = chunk, wanted - 1
        return chunk

    def messages(self, chunk: Chunk, pumps: Sequence[int] | range) -> Iterator[Message]:
        """The messages of some of its own pumps, each with its index in the fleet."""
        made = self.simulation.messages(chunk, pumps)
        first = self.first
        if not first:
            return made
        return (message._replace(pump=message.pump + first) for message in made)


def blocks_of(
    seed: int,
    fleet: Sequence[Implant],
    faults: Sequence[Fault],
    timeline: Timeline,
    *,
    boot: int,
    encodings: Sequence[Encoding],
    pumps_a_block: int = PUMPS_A_BLOCK,
) -> list[Block]:
    """Cut a fleet into blocks. What happens between a pump and us is nothing that its simulation knows."""
    blocks = []
    for first in range(0, len(fleet), pumps_a_block):
        part = fleet[first : first + pumps_a_block]
        own = [
            replace(fault, pump=fault.pump - first)
            for fault in faults
            if first <= fault.pump < first + len(part) and fault.kind not in UNHEARD
        ]
        blocks.append(Block(first, Simulation(seed, part, own, timeline, boot=boot, encodings=encodings)))
    return blocks


def joined(pump: int, chunks: Sequence[Chunk], at_most: int) -> Iterator[Chunk]:
    """What one pump has kept, in chunks of `at_most` readings: an hour of it is a message like any other."""
    columns = wire.Columns([], [], [], [], [], [])
    events: list[tuple[int, wire.Event]] = []
    for chunk in chunks:
        if len(columns.time_ms) + len(chunk.columns[pump].time_ms) > at_most:
            yield Chunk({pump: columns}, {pump: events})
            columns, events = wire.Columns([], [], [], [], [], []), []
        events += [(following + len(columns.time_ms), event) for following, event in chunk.events.get(pump, ())]
        columns = columns.followed_by(chunk.columns[pump])
    yield Chunk({pump: columns}, {pump: events})


def _slices(ahead_ms: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Cut pumps, in the order in which their moments come, into groups: how far ahead the last of each is, and who."""
    slices: list[tuple[int, list[int]]] = []
    begins_ms = 0
    within_ms = min(max(max(ahead_ms, default=0) // SLICES_A_SPAN, SLICE_MS[0]), SLICE_MS[1])
    for pump in sorted(range(len(ahead_ms)), key=lambda each: -ahead_ms[each]):
        if not slices or begins_ms - ahead_ms[pump] > within_ms:
            begins_ms = ahead_ms[pump]
            slices.append((begins_ms, []))
        slices[-1][1].append(pump)
        slices[-1] = ahead_ms[pump], slices[-1][1]
    return slices
