"""How does a fleet spend its time? The backlog first, as fast as it may; then live, a reading when its moment comes."""

import asyncio
import contextlib
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from simulators import wire
from simulators.cast import cast
from simulators.faults import Fault, Kind, Label, Timeline, labels_of
from simulators.fleet import Implant, fleet_of, write_registry
from simulators.journal import Journal
from simulators.plan import Plan, Report, boot_at
from simulators.progress import Steps
from simulators.publish import Publisher, clock_ms
from simulators.simulation import Chunk, Simulation

SLICE_S: Final = 0.02  # pumps whose moment comes within this are served together
CATCH_UP_STEPS: Final = 60
GOODBYE_S: Final = 2.0


async def run_fleet(plan: Plan, steps: Steps, faults: Sequence[Fault] | None = None) -> Report:
    """Run a fleet to its end; `faults` stand in for those that the plan names.

    Raises OSError for a file that cannot be written, and ValueError for an unknown fault.
    """
    if plan.wait_for is not None:
        await _until_ready(plan.wait_for, steps)
    backlog_ms, spacing_ms = round(plan.backlog_hours * 3_600_000), round(plan.backlog_interval_s * 1000)
    start_ms = clock_ms() - backlog_ms if plan.start_ms is None else plan.start_ms
    timeline = Timeline(start_ms, spacing_ms, backlog_ms // spacing_ms, round(plan.interval_s * 1000), plan.live_s)
    fleet = fleet_of(plan.seed, plan.pumps, prefix=plan.prefix, interval_s=plan.interval_s)
    faults = cast(plan.faults, fleet, plan.seed, timeline) if faults is None else faults
    with Journal(plan.journal) as journal:
        return await _Run(plan, fleet, timeline, faults, journal, steps).run()


class _Run:
    def __init__(
        self,
        plan: Plan,
        fleet: list[Implant],
        timeline: Timeline,
        faults: Sequence[Fault],
        journal: Journal,
        steps: Steps,
    ) -> None:
        self.plan, self.fleet, self.timeline, self.faults, self.steps = plan, fleet, timeline, faults, steps
        self.boot = boot_at(timeline.start_ms) if plan.boot is None else plan.boot
        self.simulation = Simulation(plan.seed, fleet, self.faults, timeline, boot=self.boot, encodings=plan.encodings)
        self.publisher = Publisher(
            [pump.pump_id for pump in fleet],
            plan.broker,
            journal,
            connections=plan.connections,
            memory_items=plan.memory_readings,
            max_rate=plan.max_rate,
            seed=plan.seed,
            say=steps.say,
        )
        self.stopping = asyncio.Event()
        self.kept: dict[int, list[Chunk]] = {}  # what pumps out of reach have measured since
        self.last_heard_ms: dict[int, int] = {}
        self.live_began_ms: int | None = None

    async def run(self) -> Report:
        self._write_labels()
        if self.plan.registry is not None:
            with self.plan.registry.open("w", encoding="utf-8") as file:
                write_registry(self.fleet, file, self.timeline.start_ms)
        await self.publisher.start()
        try:
            with _stopped_by(self.stopping):
                await self._backlog()
                await self._live()
                ended_ms = clock_ms()
                await self._drain()
        finally:
            await self.publisher.stop()
        self._write_labels()
        report = self._report(ended_ms)
        if self.plan.report is not None:
            self.plan.report.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
        return report

    async def _backlog(self) -> None:
        self.steps.stage()
        began_ms = clock_ms()
        left = self.timeline.backlog_steps
        while left and not self.stopping.is_set():
            steps = min(self.plan.readings_a_message, left)
            left -= steps
            chunk = self.simulation.measure(self.timeline.backlog_spacing_ms, steps)
            simulated_ms = self.simulation.now_ms - self.timeline.start_ms
            if self.plan.speed:
                await self._until(began_ms + round(simulated_ms / self.plan.speed))
            await self._until(self.simulation.now_ms)
            self._send(chunk, range(len(self.fleet)))
            await self.publisher.room()
            self.steps.show(f"backlog · {self._state()}", 1 - left / self.timeline.backlog_steps)

    async def _live(self) -> None:
        if not self.plan.live_s:
            return
        self.steps.stage()
        spacing_ms = self.timeline.live_spacing_ms
        slices = self._slices()
        while self.simulation.now_ms + CATCH_UP_STEPS * spacing_ms < clock_ms() and not self.stopping.is_set():
            self._send(self.simulation.measure(spacing_ms, CATCH_UP_STEPS), range(len(self.fleet)))
            await self.publisher.room()
        began_ms = self.live_began_ms = max(clock_ms(), self.timeline.live_from_ms)
        end_ms = began_ms + round(self.plan.live_s * 1000)
        while not self.stopping.is_set() and self.simulation.now_ms < end_ms:
            behind = (clock_ms() - self.simulation.now_ms) // spacing_ms
            chunk = self.simulation.measure(spacing_ms, min(max(behind, 1), CATCH_UP_STEPS))
            for pumps in slices:
                await self._until(self.simulation.now_ms - int(self.simulation.ahead_ms[pumps[-1]]))
                self._switch_links(clock_ms() - began_ms)
                self._send(chunk, pumps)
            await self.publisher.room()
            self.steps.show(f"live · {self._state()}", (clock_ms() - began_ms) / (end_ms - began_ms))

    def _slices(self) -> list[list[int]]:
        """Cut the fleet, in the order in which its moments come, into groups that are served together."""
        slices: list[list[int]] = []
        ahead_ms = self.simulation.ahead_ms.tolist()
        for pump in sorted(range(len(ahead_ms)), key=lambda each: -ahead_ms[each]):
            if not slices or ahead_ms[slices[-1][0]] - ahead_ms[pump] > SLICE_S * 1000:
                slices.append([])
            slices[-1].append(pump)
        return slices

    def _switch_links(self, live_ms: int) -> None:
        """Let faults of the link begin and end. They follow our clock: live, `live_ms` after it began."""
        for fault in self.faults:
            if fault.kind not in {Kind.SILENCE, Kind.LINK_GAP}:
                continue
            due = fault.onset_ms - self.timeline.live_from_ms <= live_ms
            over = fault.end_ms is not None and fault.end_ms - self.timeline.live_from_ms <= live_ms
            if due and not over and fault.pump not in self.kept:
                self.kept[fault.pump] = []
                self.publisher.unlink(fault.pump)
            if over and fault.pump in self.kept:
                self.publisher.relink(fault.pump)
                joined = _joined(fault.pump, self.kept.pop(fault.pump))
                self._send(joined, [fault.pump])

    def _send(self, chunk: Chunk, pumps: Sequence[int]) -> None:
        within_reach = pumps
        if self.kept:
            for pump in self.kept:
                if pump in pumps:
                    self.kept[pump].append(chunk)
            within_reach = [pump for pump in pumps if pump not in self.kept]
        for message in self.simulation.messages(chunk, within_reach):
            self.publisher.hold(message)
            self.last_heard_ms[message.pump] = message.stamp_ms

    async def _drain(self) -> None:
        self.steps.stage()
        draining = asyncio.create_task(self.publisher.drained(self.plan.drain_s))
        while not draining.done():
            await asyncio.wait({draining}, timeout=0.5)
            self.steps.show(f"waiting for receipts · {self._state()}", 0.0)
        await self.publisher.say_goodbye(GOODBYE_S)

    async def _until(self, at_ms: int) -> None:
        """Wait until our clock shows `at_ms`, or the run is to stop."""
        while (left_ms := at_ms - clock_ms()) > 0 and not self.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), left_ms / 1000)

    def _state(self) -> str:
        tally = self.publisher.tally
        return f"{tally.measured_readings:,} readings measured, {tally.receipted_items:,} with receipt"

    def _write_labels(self) -> None:
        if self.plan.labels is not None:
            labels = msgspec.json.format(msgspec.json.encode(self._labels()))
            part = self.plan.labels.with_name(self.plan.labels.name + ".part")
            part.write_bytes(labels + b"\n")
            part.replace(self.plan.labels)

    def _labels(self) -> list[Label]:
        """The labels; those of the link begin when the pump was last heard, which only the run can know."""
        shift_ms = 0 if self.live_began_ms is None else self.live_began_ms - self.timeline.live_from_ms
        known = []
        for fault in self.faults:
            if fault.kind in {Kind.SILENCE, Kind.LINK_GAP}:
                onset_ms = fault.onset_ms + shift_ms
                if fault.pump in self.kept:
                    onset_ms = self.last_heard_ms.get(fault.pump, onset_ms)
                end_ms = None if fault.end_ms is None else fault.end_ms + shift_ms
                known.append(replace(fault, onset_ms=onset_ms, end_ms=end_ms))
            else:
                known.append(fault)
        return labels_of(known, self.fleet, self.timeline)

    def _report(self, ended_ms: int) -> Report:
        publisher = self.publisher
        held = publisher.held_items(linked_only=True)
        kept = sum(len(chunk.columns[pump].time_ms) for pump, chunks in self.kept.items() for chunk in chunks)
        return Report(
            pumps=len(self.fleet),
            seed=self.plan.seed,
            boot=self.boot,
            start_ms=self.timeline.start_ms,
            live_from_ms=self.timeline.live_from_ms,
            live_began_ms=self.live_began_ms,
            ended_ms=ended_ms,
            tally=msgspec.structs.asdict(publisher.tally),
            held_items=held,
            unreachable_items=publisher.held_items() - held + kept,
            settle_latency_ms=publisher.settle_latencies.percentiles_ms(),
            receipt_latency_ms=publisher.receipt_latencies.percentiles_ms(),
        )


def _joined(pump: int, chunks: list[Chunk]) -> Chunk:
    """What one pump has kept, as one chunk: an hour of it is a message like any other."""
    columns = wire.Columns([], [], [], [], [], [])
    events: list[tuple[int, wire.Event]] = []
    for chunk in chunks:
        events += [(following + len(columns.time_ms), event) for following, event in chunk.events.get(pump, ())]
        columns = columns.followed_by(chunk.columns[pump])
    return Chunk({pump: columns}, {pump: events})


@contextlib.contextmanager
def _stopped_by(stopping: asyncio.Event) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the run in order; the second one ends it at once."""
    loop = asyncio.get_running_loop()
    current = asyncio.current_task()

    def stop(*_: Any) -> None:
        if stopping.is_set() and current is not None:
            current.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _until_ready(url: str, steps: Steps) -> None:
    """Wait until `url` answers 200."""

    def is_ready() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  the user's own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    steps.stage()
    while not await asyncio.to_thread(is_ready):
        steps.show(f"waiting for {url}", 0.0)
        await asyncio.sleep(0.2)
