"""How does a fleet spend its time? The backlog first, as fast as it may; then live, a reading when its moment comes."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from simulators.alerted import alerts_of
from simulators.blocks import Block, blocks_of
from simulators.cast import cast
from simulators.control import Control, Wanted
from simulators.faults import UNHEARD, Fault, Timeline, fault_named, of_whole_sites
from simulators.fleet import Implant, fleet_of, write_registry
from simulators.journal import Journal
from simulators.labels import Label, labels_of
from simulators.live import Live, Pace, until
from simulators.plan import Plan, Report, boot_at
from simulators.profiles import Stage
from simulators.progress import Steps
from simulators.publish import Publisher, clock_ms
from simulators.reach import Reach
from simulators.start import stopped_by, until_ready

GOODBYE_S: Final = 2.0
MOST_BLOCKS_TO_JOIN: Final = 60


async def run_fleet(plan: Plan, steps: Steps, faults: Sequence[Fault] | None = None) -> Report:
    """Run a fleet to its end; `faults` stand in for those that the plan names.

    Raises OSError for a file that cannot be written, and ValueError for an unknown fault.
    """
    if plan.wait_for is not None:
        await until_ready(plan.wait_for, steps)
    with Journal(plan.journal) as journal:
        run = Run(plan, faults, journal, steps)
        return await run.run()


class Run:
    """One run, from the first message to the last receipt."""

    def __init__(self, plan: Plan, faults: Sequence[Fault] | None, journal: Journal, steps: Steps) -> None:
        self.plan, self.steps = plan, steps
        self.timeline = timeline = timeline_of(plan)
        everyone = everyone_of(plan)
        named = cast(plan.faults, everyone, plan.seed, timeline) if faults is None else faults
        share = plan.shard.share_of(plan.pumps)
        self.fleet: list[Implant] = everyone[share.start : share.stop]
        self.faults = [
            replace(fault, pump=fault.pump - share.start)
            for fault in of_whole_sites(named, everyone)
            if fault.pump in share
        ]
        self.boot = boot_at(timeline.start_ms) if plan.boot is None else plan.boot
        self.joins = any(stage.joins for stage in plan.stages)
        early = len(self.fleet) if plan.backlog_pumps is None else min(plan.backlog_pumps, len(self.fleet))
        self.early = range(early)  # the pumps with a backlog, and those that join later or begin live
        self.late = range(early, len(self.fleet))
        self.blocks = self._blocks(timeline, self.early)
        self.publisher = Publisher(
            [pump.pump_id for pump in self.fleet],
            plan.broker,
            journal,
            connections=plan.connections,
            sites=[pump.site for pump in self.fleet],
            memory_items=plan.memory_readings,
            max_rate=plan.max_rate,
            seed=plan.seed,
            say=steps.say,
        )
        self.stopping = asyncio.Event()
        self.reach = Reach(self.publisher, len(self.fleet), plan.readings_a_message)
        self.live: Live | None = None
        self.live_began_ms: int | None = None
        self.stage = "backlog"
        self.injected: list[Label] = []
        self.began_s = time.monotonic()

    async def run(self) -> Report:
        self._write_labels()
        if self.plan.registry is not None:
            with self.plan.registry.open("w", encoding="utf-8") as file:
                write_registry(self.fleet, file, self.timeline.start_ms)
        async with AsyncExitStack() as stack:
            if self.plan.control is not None:
                await stack.enter_async_context(Control(self.plan.control, self.inject, self.pump_ids).listening())
            stack.push_async_callback(self.publisher.stop)
            stack.enter_context(stopped_by(self.stopping))
            await self.publisher.start(self.early if self.joins else None, a_second=self.plan.connects_a_second)
            await self._backlog()
            await self._live()
            ended_ms = clock_ms()
            await self._drain()
        self._write_labels()
        report = self._report(ended_ms)
        await self._ask_what_was_alerted(report)
        if self.plan.report is not None:
            write_json(self.plan.report, report)
        return report

    def inject(self, wanted: Wanted) -> Label:
        """Let a fault begin now; raises ValueError, in words, for one that cannot be."""
        pump = next((at for at, implant in enumerate(self.fleet) if implant.pump_id == wanted.pump_id), None)
        if pump is None:
            known = f"{self.fleet[0].pump_id} to {self.fleet[-1].pump_id}"
            raise ValueError(f"no such pump: {wanted.pump_id}; this fleet has {known}")
        block = next((each for each in self.blocks if pump in each.pumps), None)
        if self.live is None or block is None:
            raise ValueError("the fleet is not yet live")
        implant, now_ms = self.fleet[pump], self.live.now_ms
        fault = fault_named(wanted.fault, pump, now_ms, wanted.for_ms, wanted.value, implant)
        if fault.kind in UNHEARD:
            for each in of_whole_sites([fault], self.fleet):
                self.faults.append(each)
                self.reach.plan(each)
        else:
            block.simulation.inject(replace(fault, pump=pump - block.first))
            self.reach.plan(fault)
        of_pump = [label for label in self._labels() if (label.pump_id, label.fault) == (implant.pump_id, fault.kind)]
        label = max(of_pump, key=lambda each: each.onset_ms)
        self.injected.append(label)
        self._write_labels()
        return label

    async def _backlog(self) -> None:
        self.steps.stage()
        pace = Pace(self.timeline.start_ms, clock_ms(), self.plan.speed)
        spacing_ms = self.timeline.backlog_spacing_ms
        left = self.timeline.backlog_steps
        while left and not self.stopping.is_set():
            steps = min(self.plan.readings_a_message, left)
            left -= steps
            for block in self.blocks:
                chunk = block.simulation.measure(spacing_ms, steps)
                await until(pace.wall_ms(block.simulation.now_ms), self.stopping)
                self.reach.send(block, chunk, range(len(block.pumps)), block.simulation.now_ms)
                await self.publisher.room()
            self.steps.show(f"backlog · {self.state()}", 1 - left / self.timeline.backlog_steps)

    async def _live(self) -> None:
        stages = self.plan.stages or (Stage("live", self.plan.live_s),)
        if not any(stage.lasts_s for stage in stages):
            return
        self.steps.stage()
        timeline, now_ms = self.timeline, clock_ms()
        self.live_began_ms = began_ms = max(now_ms, timeline.live_from_ms)
        # A fleet that lives now lives by our clock: what it has missed meanwhile it tells at once. One that lives at
        # another time, or faster, begins where its backlog ended.
        is_now = self.plan.start_ms is None and self.plan.speed <= 1
        pace = Pace(timeline.live_from_ms, timeline.live_from_ms if is_now else began_ms, self.plan.speed or 1.0)
        self.live = live = Live(pace, self.reach.send, timeline.live_spacing_ms, self.stopping)
        self.faults = self.reach.live(self.faults, began_ms - timeline.live_from_ms if is_now else 0, pace.speed)
        live.begin(self.blocks)
        if self.late and not self.joins:
            late = self._blocks(replace(timeline, start_ms=began_ms, backlog_steps=0), self.late)
            self.blocks += late
            live.begin(late)
        from_ms = began_ms if is_now else timeline.live_from_ms
        last_ms = from_ms + round(sum(stage.lasts_s for stage in stages) * 1000)
        first_ms = from_ms

        def show(at_ms: int) -> None:
            self.steps.show(f"{self.stage} · {self.state()}", (at_ms - first_ms) / max(last_ms - first_ms, 1))

        for stage in stages:
            if self.stopping.is_set():
                return
            self.stage = stage.name
            if stage.drops:
                self.publisher.uplinks.drop()
            spacing_ms = max(round(timeline.live_spacing_ms / stage.faster), 1)
            if spacing_ms != live.spacing_ms:
                live.respace(spacing_ms)
            to_ms = from_ms + round(stage.lasts_s * 1000)
            if stage.joins:
                await self._join(live, from_ms, to_ms, show)
            else:
                await live.run(to_ms, self.publisher.room, show)
            from_ms = to_ms

    async def _join(self, live: Live, from_ms: int, to_ms: int, show: Callable[[int], None]) -> None:
        """Let one part of the fleet after the other be connected and begin to measure."""
        parts = min(MOST_BLOCKS_TO_JOIN, len(self.late))
        for number in range(parts):
            at_ms = from_ms + (to_ms - from_ms) * number // parts
            await live.run(at_ms, self.publisher.room, show)
            first, after = (self.late.start + len(self.late) * each // parts for each in (number, number + 1))
            began = replace(self.timeline, start_ms=at_ms, backlog_steps=0)
            new = self._blocks(began, range(first, after))
            self.blocks += new
            self.publisher.connect(range(first, after), a_second=self.plan.connects_a_second)
            live.begin(new)
        await live.run(to_ms, self.publisher.room, show)

    async def _drain(self) -> None:
        self.stage = "drain"
        self.reach.come_back()
        self.steps.stage()
        draining = asyncio.create_task(self.publisher.drained(self.plan.drain_s))
        while not draining.done():
            await asyncio.wait({draining}, timeout=0.5)
            self.steps.show(f"waiting for receipts · {self.state()}", 0.0)
        await self.publisher.say_goodbye(max(GOODBYE_S, len(self.fleet) / 2000))

    def state(self) -> str:
        tally = self.publisher.tally
        return f"{tally.measured_readings:,} readings measured, {tally.receipted_items:,} with receipt"

    def _blocks(self, timeline: Timeline, who: range) -> list[Block]:
        blocks = blocks_of(
            self.plan.seed,
            self.fleet[who.start : who.stop],
            [replace(each, pump=each.pump - who.start) for each in self.faults if each.pump in who],
            timeline,
            boot=self.boot,
            encodings=self.plan.encodings,
        )
        for block in blocks:
            block.first += who.start
        return blocks

    def pump_ids(self) -> Sequence[str]:
        return [implant.pump_id for implant in self.fleet]

    async def _ask_what_was_alerted(self, report: Report) -> None:
        """Beside what was injected: an address and a token are enough, and a service that does not answer is said."""
        if self.plan.api is None or self.plan.token_file is None or not self.injected:
            return
        who = [label.pump_id for label in self.injected]
        try:
            report.alerted = await asyncio.to_thread(alerts_of, self.plan.api, self.plan.token_file, who)
        except OSError as error:
            self.steps.say(f"{self.plan.api}: {error.strerror or error}; the report lacks what was alerted")

    def _write_labels(self) -> None:
        if self.plan.labels is not None:
            write_json(self.plan.labels, self._labels())

    def _labels(self) -> list[Label]:
        """The labels; those of pumps out of reach begin when these were last heard, which only the run can know."""
        unheard = [self.reach.as_it_was(fault) for fault in self.faults if fault.kind in UNHEARD]
        labels = labels_of(unheard, self.fleet, self.timeline)
        for block in self.blocks:
            labels += block.simulation.labels()
        return sorted(labels, key=lambda label: (label.onset_ms, label.pump_id))

    def _report(self, ended_ms: int) -> Report:
        publisher = self.publisher
        held = publisher.held_items(linked_only=True)
        return Report(
            pumps=len(self.fleet),
            seed=self.plan.seed,
            boot=self.boot,
            start_ms=self.timeline.start_ms,
            live_from_ms=self.timeline.live_from_ms,
            live_began_ms=self.live_began_ms,
            ended_ms=ended_ms,
            took_s=round(time.monotonic() - self.began_s, 1),
            tally=msgspec.structs.asdict(publisher.tally),
            held_items=held,
            unreachable_items=publisher.held_items() - held + self.reach.kept_readings,
            settle_latency_ms=publisher.settle_latencies.percentiles_ms(),
            receipt_latency_ms=publisher.receipt_latencies.percentiles_ms(),
            injected=self.injected,
        )


def write_json(path: Path, content: object) -> None:
    """Write it whole or not at all: somebody may be reading."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
    part.replace(path)


def everyone_of(plan: Plan) -> list[Implant]:
    """The whole fleet, other shards' pumps included."""
    return fleet_of(plan.seed, plan.pumps, prefix=plan.prefix, interval_s=plan.interval_s)


def timeline_of(plan: Plan) -> Timeline:
    backlog_ms, spacing_ms = round(plan.backlog_hours * 3_600_000), round(plan.backlog_interval_s * 1000)
    live_s = sum(stage.lasts_s for stage in plan.stages) if plan.stages else plan.live_s
    start_ms = plan.start_ms
    if start_ms is None:
        # What lives faster than we do begins so early that it is never ahead of us.
        ahead_ms = round(live_s * (1 - 1 / plan.speed) * 1000) if plan.speed > 1 else 0
        start_ms = clock_ms() - backlog_ms - ahead_ms
    return Timeline(start_ms, spacing_ms, backlog_ms // spacing_ms, round(plan.interval_s * 1000), live_s)
