"""Which faults are at work now, and what happens to which pump next? What a simulation asks before each span."""

import heapq
from collections.abc import Iterable, Sequence
from typing import Final

from simulators.acts import touch
from simulators.draws import Integers
from simulators.faults import ON_THE_WAY, Fault, Kind
from simulators.fleet import Implant
from simulators.pump import Demand
from simulators.stories import Moment, story_of

_NOT_ON_THE_PUMP: Final = ON_THE_WAY | {Kind.LOST, Kind.CORRUPTED, Kind.CLOCK_JUMP, Kind.CLOCK_DRIFT, Kind.REBOOT}


class Work:
    """Faults and moments in order of time. `ahead_ms` is how far each pump is ahead of the grid."""

    def __init__(self, fleet: Sequence[Implant], ahead_ms: Sequence[int], faults: Iterable[Fault]) -> None:
        self._fleet = fleet
        self._ahead_ms = ahead_ms
        self._to_come: list[tuple[int, int, Fault]] = []  # by the moment of the grid at which they begin
        self._at_work: list[Fault] = []
        self._moments: list[tuple[int, int, int, Moment]] = []  # likewise, then by pump
        self._number = 0
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Take on a fault or decoy with all its moments."""
        if fault.kind not in _NOT_ON_THE_PUMP:
            self._number += 1
            heapq.heappush(self._to_come, (fault.onset_ms + self._ahead_ms[fault.pump], self._number, fault))
        for moment in story_of(fault, self._fleet[fault.pump]):
            self.plan(moment)

    def plan(self, moment: Moment) -> None:
        self._number += 1
        at_ms = moment.at_ms + self._ahead_ms[moment.pump]
        heapq.heappush(self._moments, (at_ms, moment.pump, self._number, moment))

    def touch(self, demand: Demand, grid_ms: Integers, spacing_ms: int) -> None:
        """Let the faults work on what is asked of the fleet over the spans that end at these moments of the grid."""
        end_ms = int(grid_ms[-1])
        while self._to_come and self._to_come[0][0] <= end_ms:
            self._at_work.append(heapq.heappop(self._to_come)[-1])
        for fault in self._at_work:
            to_ms = grid_ms - self._ahead_ms[fault.pump]
            touch(fault, self._fleet[fault.pump], demand, to_ms - spacing_ms, to_ms)
        self._at_work = [fault for fault in self._at_work if not fault.over_by(end_ms - self._ahead_ms[fault.pump])]

    def next_moment(self, until_ms: int) -> tuple[int, Moment] | None:
        """The next moment up to this one of the grid, with its own; it is returned once."""
        if not self._moments or self._moments[0][0] > until_ms:
            return None
        at_ms, _, _, moment = heapq.heappop(self._moments)
        return at_ms, moment
