"""Whose moment comes next? Blocks that live at a pace: each pump is served when its reading is due, and not before."""

import asyncio
import contextlib
import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from simulators.blocks import Block
from simulators.publish import clock_ms
from simulators.simulation import Chunk

QUANTUM_MS: Final = 30  # who is due within this is served together: a wake-up costs more than a message
BREATHE_AFTER: Final = 200  # slices in a row before others have a turn: those who listen to the broker
_MEASURE: Final = -1  # in place of a slice: measure the chunk while there is time


@dataclass(frozen=True, slots=True)
class Pace:
    """How the fleet's time passes: `speed` times ours from `wall_from_ms`; 0: as fast as may be."""

    fleet_from_ms: int
    wall_from_ms: int
    speed: float

    def wall_ms(self, fleet_ms: int) -> int:
        """When it is `fleet_ms` for the fleet. A time stamp is never ahead of our clock."""
        if not self.speed:
            return fleet_ms
        return max(round(self.wall_from_ms + (fleet_ms - self.fleet_from_ms) / self.speed), fleet_ms)


async def until(at_ms: int, stopping: asyncio.Event) -> None:
    """Wait until our clock shows `at_ms`, or until all is to stop."""
    while (left_ms := at_ms - clock_ms()) > 0 and not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_ms / 1000):
                await stopping.wait()


class Live:
    """The moments to come, of all blocks. `send(block, chunk, pumps, at_ms)` is called with each."""

    def __init__(
        self,
        pace: Pace,
        send: Callable[[Block, Chunk, Sequence[int], int], None],
        spacing_ms: int,
        stopping: asyncio.Event,
    ) -> None:
        self.spacing_ms = spacing_ms  # of the chunks that are planned from now on
        self.now_ms = pace.fleet_from_ms
        self._pace = pace
        self._send = send
        self._stopping = stopping
        self._moments: list[tuple[int, int, int, int]] = []  # when, block, slice, chunk
        self._blocks: list[Block] = []

    def begin(self, blocks: Sequence[Block]) -> None:
        """Let blocks live from where their simulation stands."""
        for block in blocks:
            number = len(self._blocks)
            self._blocks.append(block)
            for index in range(len(block.slices)):
                self._plan(number, index, 0)

    def respace(self, spacing_ms: int) -> None:
        """Let every chunk that is not yet measured be of this length; who is late by that catches up at once."""
        self.spacing_ms = spacing_ms
        for block in self._blocks:
            del block.ends_ms[block.measured :]
        moments = [(number, index, chunk) for _, number, index, chunk in self._moments if index != _MEASURE]
        self._moments = []
        for number, index, chunk in moments:
            self._plan(number, index, chunk)

    async def run(self, end_ms: int, room: Callable[[], Awaitable[None]], show: Callable[[int], None]) -> None:
        """Live until the fleet's time is `end_ms`: what is due by then is sent."""
        served = 0
        while not self._stopping.is_set():
            at_ms = self._moments[0][0] if self._moments else end_ms + 1
            if at_ms > end_ms:
                await until(self._pace.wall_ms(end_ms), self._stopping)
                self.now_ms = end_ms
                return
            now_ms, wall_ms = clock_ms(), self._pace.wall_ms(at_ms)
            if wall_ms > now_ms or served >= BREATHE_AFTER:
                served = 0
                await room()
                show(at_ms)
                await until(max(wall_ms, now_ms + QUANTUM_MS) if wall_ms > now_ms else 0, self._stopping)
                await asyncio.sleep(0)
                continue
            served += 1
            self.now_ms = at_ms
            self._serve()

    def _serve(self) -> None:
        at_ms, number, index, chunk_number = heapq.heappop(self._moments)
        block = self._blocks[number]
        if index == _MEASURE:
            block.measure_to(chunk_number)
            return
        self._send(block, block.take(chunk_number), block.slices[index][1], at_ms)
        self._plan(number, index, chunk_number + 1)

    def _plan(self, number: int, index: int, chunk_number: int) -> None:
        block = self._blocks[number]
        is_new = len(block.ends_ms) <= chunk_number
        ends_ms = block.end_of(chunk_number, self.spacing_ms)
        heapq.heappush(self._moments, (ends_ms - block.slices[index][0], number, index, chunk_number))
        if is_new and chunk_number:
            # Blocks have their moments at the same time; what they measure for them is measured in turn.
            share = (number + 1) / (len(self._blocks) + 1)
            first_ms = ends_ms - block.slices[0][0]
            heapq.heappush(self._moments, (first_ms - round(share * self.spacing_ms), number, _MEASURE, chunk_number))
