"""Which pumps does the service hear, and what becomes of messages on the way? Silence, outages, repeats, disorder."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import replace

from simulators.blocks import Block, joined
from simulators.faults import ON_THE_WAY, UNHEARD, Fault
from simulators.publish import Publisher, clock_ms
from simulators.simulation import Chunk, Message
from simulators.way import Way


class Reach:
    """Hands a fleet's messages to the publisher, or keeps them while their pump is out of reach. Live only."""

    def __init__(self, publisher: Publisher, pumps: int, readings_a_message: int) -> None:
        self._publisher = publisher
        self._readings_a_message = readings_a_message
        self._kept: dict[int, list[Chunk]] = {}  # what pumps out of reach have measured since
        self._home: dict[int, Block] = {}  # of those that have kept something
        self._last_ms = [0] * pumps  # the stamp of what was last told
        self._agenda: list[tuple[int, int, bool]] = []  # when, which pump, whether it is lost then
        self._speed = 1.0
        self._faults: dict[int, list[Fault]] = {}  # on the way, by pump
        self._way: dict[int, Way] = {}
        self.told: dict[int, list[tuple[int, int]]] = {}  # of who is listened to: stamps, and when they were told

    @property
    def kept_readings(self) -> int:
        return sum(
            len(columns.time_ms)
            for chunks in self._kept.values()
            for each in chunks
            for columns in each.columns.values()
        )

    def live(self, faults: Sequence[Fault], shift_ms: int, speed: float) -> list[Fault]:
        """From now on faults happen; return them as they will: what befalls the live fleet is so much later."""
        self._speed = speed
        planned = [_later(fault, shift_ms) if fault.kind in UNHEARD else fault for fault in faults]
        for fault in planned:
            self.plan(fault)
        return planned

    def listen_to(self, pumps: Iterable[int]) -> None:
        """Remember of these pumps when each message was told."""
        self.told = {pump: [] for pump in pumps}

    def plan(self, fault: Fault) -> None:
        """Let a fault on the way happen in its time; others are none of ours."""
        if fault.kind in UNHEARD:
            heapq.heappush(self._agenda, (fault.onset_ms, fault.pump, True))
            if fault.end_ms is not None:
                heapq.heappush(self._agenda, (fault.end_ms, fault.pump, False))
        elif fault.kind in ON_THE_WAY:
            of_pump = self._faults.setdefault(fault.pump, [])
            of_pump.append(fault)
            self._way[fault.pump] = Way(of_pump)

    def as_it_was(self, fault: Fault) -> Fault:
        """The fault as it happened: a pump that is out of reach is so since it was last heard."""
        is_lost = fault.pump in self._kept and self._last_ms[fault.pump]
        return replace(fault, onset_ms=self._last_ms[fault.pump]) if is_lost else fault

    def send(self, block: Block, chunk: Chunk, pumps: Sequence[int], at_ms: int) -> None:
        """Take over what some pumps of a block have measured by `at_ms`, the fleet's time."""
        while self._agenda and self._agenda[0][0] <= at_ms:
            _, pump, is_lost = heapq.heappop(self._agenda)
            if is_lost:
                self._lose(pump)
            else:
                self._find(pump)
        within_reach: Sequence[int] = pumps
        if self._kept:
            first = block.first
            within_reach = [pump for pump in pumps if pump + first not in self._kept]
            for pump in pumps:
                if pump + first in self._kept:
                    own = Chunk({pump: chunk.columns[pump]}, {pump: chunk.events.get(pump, [])})
                    self._kept[pump + first].append(own)
                    self._home[pump + first] = block
        for message in block.messages(chunk, within_reach):
            self._tell(message)

    def come_back(self) -> None:
        """The run ends: who would have been back in a while is so now, lest what it holds be taken for lost."""
        for _, pump, is_lost in sorted(self._agenda):
            if not is_lost:
                self._find(pump)
        self._agenda.clear()

    def _tell(self, message: Message) -> None:
        self._last_ms[message.pump] = message.stamp_ms
        if message.pump in self.told:
            self.told[message.pump].append((message.stamp_ms, clock_ms()))
        if message.pump not in self._way:
            self._publisher.hold(message)
            return
        for number, carried in enumerate(self._way[message.pump].carry(message)):
            after_s = (carried.stamp_ms - message.stamp_ms) / 1000 / self._speed
            if number:
                self._publisher.repeat(message, after_s)
            else:
                self._publisher.hold(message, after_s)

    def _lose(self, pump: int) -> None:
        if pump not in self._kept:
            self._kept[pump] = []
            # Who never comes back still tells what it measured before: else that would be taken for lost.
            if any(each == pump and not is_lost for _, each, is_lost in self._agenda):
                self._publisher.unlink(pump)

    def _find(self, pump: int) -> None:
        """It is back, and tells what it has kept: an hour of it is a message like any other."""
        kept = self._kept.pop(pump, None)
        if kept is None:
            return
        self._publisher.relink(pump)
        if kept:
            block = self._home.pop(pump)
            own = pump - block.first
            for chunk in joined(own, kept, self._readings_a_message):
                for message in block.messages(chunk, [own]):
                    self._tell(message)


def _later(fault: Fault, by_ms: int) -> Fault:
    end_ms = None if fault.end_ms is None else fault.end_ms + by_ms
    return replace(fault, onset_ms=fault.onset_ms + by_ms, end_ms=end_ms)
