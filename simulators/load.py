"""What does a load show? A profile is run to its end, watched, and told in one report."""

import asyncio
import contextlib
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

import msgspec

from simulators.acts import stall_shows_ms
from simulators.alerted import alerts_of
from simulators.clinic import Behaviour, Clinic, serve
from simulators.faults import MINUTE_MS, Fault, Kind
from simulators.journal import Journal, Latencies
from simulators.plan import Plan, Report
from simulators.progress import Steps
from simulators.run import Run, everyone_of, timeline_of
from simulators.samples import Sample, Sampler
from simulators.start import until_ready

NOT_LIVE: Final = frozenset({"backlog", "drain"})
WITNESS_HOURS: Final = 2.0  # of backlog: enough for a stall to be nearly known when the fleet goes live
WITNESSES_AMONG: Final = 8  # pumps for each stall: not every one shows a stall soon enough
SHOWS_WITHIN: Final = (0.2, 0.6)  # of the live part: where the stalls are to be known
WEBHOOK_WITHIN_S: Final = 20.0


class Losses(msgspec.Struct):
    """Readings and events: what was measured is receipted, still held, or let go of; the rest is unaccounted for."""

    measured: int
    receipted: int
    held: int
    let_go: int
    unaccounted: int


class Way(msgspec.Struct):
    """From the sending of the reading that shows a stall, in ms, over all stalls; empty where nobody looked."""

    stalls: int
    to_alert_ms: dict[str, float]
    to_webhook_ms: dict[str, float]


class LoadReport(msgspec.Struct, kw_only=True):
    profile: str
    began_at: str
    connections: str
    interval_s: float
    stages: list[tuple[str, float]]
    took_s: float
    cpu_s: float
    cpu_share: float  # of one processor, while it ran
    cpu_us_a_message: float  # live: without the start, connecting included
    peak_memory_mb: float
    losses: Losses
    way: Way
    run: Report
    samples: list[Sample]

    @property
    def is_complete(self) -> bool:
        return self.run.is_complete and not self.losses.unaccounted

    def lines(self) -> list[str]:
        """The report for a person."""
        return [
            *self.run.lines(),
            f"PUBACK {_said(self.run.settle_latency_ms)}; receipt {_said(self.run.receipt_latency_ms)}",
            f"{self.cpu_share:.0%} of a processor ({self.cpu_us_a_message:.0f} µs a message)",
            f"{self.peak_memory_mb:.0f} MB at most",
        ]


async def run_load(plan: Plan, profile: str, stalls: int, clinic: tuple[int, str] | None, steps: Steps) -> LoadReport:
    """Run `plan` with some stalls that show while it is live; `clinic`: the port and secret of who is told of them."""
    if plan.wait_for is not None:
        await until_ready(plan.wait_for, steps)
    live_s = sum(stage.lasts_s for stage in plan.stages)
    cpu_s, began_s, began_at = time.process_time(), time.monotonic(), datetime.now().astimezone()
    desk = None if clinic is None else Clinic([clinic[1]], Behaviour(), record=None)
    with Journal(plan.journal) as journal:
        faults = stalls_of(plan, stalls)
        run = Run(plan, faults, journal, steps)
        run.reach.listen_to(fault.pump for fault in run.faults)
        sampler = Sampler(run, live_s + plan.drain_s)
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(sampler.look_on())]
            if desk is not None and clinic is not None:
                others.append(tasks.create_task(serve(desk, "127.0.0.1", clinic[0], steps.say)))
            try:
                report = await run.run()
                if desk is not None:
                    await _told_of_all(desk, len(run.faults))
            finally:
                for other in others:
                    other.cancel()
        sampler.look()
    took_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    return LoadReport(
        profile=profile,
        began_at=began_at.isoformat(timespec="seconds"),
        connections=str(plan.connections),
        interval_s=plan.interval_s,
        stages=[(stage.name, stage.lasts_s) for stage in plan.stages],
        took_s=round(took_s, 1),
        cpu_s=round(cpu_s, 2),
        cpu_share=round(cpu_s / took_s, 3),
        cpu_us_a_message=_us_a_message(sampler.samples),
        peak_memory_mb=round(peak_memory_mb(), 1),
        losses=losses_of(report),
        way=await way_of(run, plan, desk),
        run=report,
        samples=sampler.samples,
    )


def stalls_of(plan: Plan, stalls: int) -> list[Fault]:
    """Stalls of pumps with a backlog, spread so that each can first be known in the live part."""
    timeline = timeline_of(plan)
    first = plan.shard.share_of(plan.pumps).start
    chosen: list[Fault] = []
    for pump, implant in enumerate(everyone_of(plan)[first : first + (plan.backlog_pumps or 0)], start=first):
        if len(chosen) == stalls:
            break
        low, high = SHOWS_WITHIN
        shows_ms = timeline.live_from_ms + round((low + (high - low) * len(chosen) / stalls) * timeline.live_s * 1000)
        onset_ms = shows_ms - stall_shows_ms(implant)
        if not implant.sensor and onset_ms > timeline.start_ms + 10 * MINUTE_MS:
            chosen.append(Fault(pump, Kind.STALL, onset_ms))
    return chosen


def losses_of(report: Report) -> Losses:
    tally = report.tally
    measured = tally["measured_readings"] + tally["measured_events"]
    held = report.held_items + report.unreachable_items
    let_go = tally["given_up_items"] + tally["overwritten_items"]
    receipted = tally["receipted_items"]
    return Losses(measured, receipted, held, let_go, measured - receipted - held - let_go)


async def way_of(run: Run, plan: Plan, desk: Clinic | None) -> Way:
    """When each stall became an alert and a webhook, after its reading was sent. One known before live says nothing."""
    alerts, webhooks, stalled = Latencies(), Latencies(), {fault.pump for fault in run.faults}
    pumps = {run.fleet[pump].pump_id: pump for pump in stalled}
    if plan.api is not None and plan.token_file is not None and stalled:
        with contextlib.suppress(OSError):  # said by the run already
            for alert in await asyncio.to_thread(alerts_of, plan.api, plan.token_file, pumps):
                if alert["condition"] == Kind.STALL:
                    _add(alerts, run, pumps[alert["pump_id"]], alert["detected_at"], _ms(alert["raised_at"]))
    for request in desk.requests if desk is not None else ():
        told = request.body.get("data", {}) if request.verified and isinstance(request.body, dict) else {}
        if request.first and request.body["type"] == "alert.activated" and told.get("condition") == Kind.STALL:
            pump = pumps.get(told["pump_id"])
            if pump is not None:
                _add(webhooks, run, pump, told["detected_at"], request.received_ms)
    return Way(len(stalled), alerts.percentiles_ms(), webhooks.percentiles_ms())


def _add(latencies: Latencies, run: Run, pump: int, detected_at: str, known_ms: int) -> None:
    detected_ms = _ms(detected_at)
    if run.live_began_ms is None or detected_ms < run.live_began_ms:
        return
    # A webhook tells its times in whole seconds.
    sent_ms = next((at_ms for stamp_ms, at_ms in run.reach.told[pump] if stamp_ms // 1000 >= detected_ms // 1000), None)
    if sent_ms is not None:
        latencies.add(max(known_ms - sent_ms, 0) / 1000)


def _ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


async def _told_of_all(desk: Clinic, stalls: int) -> None:
    """Wait until the clinic has heard of every stall, for a while."""
    deadline_s = time.monotonic() + WEBHOOK_WITHIN_S
    while len(desk.acted_on) < stalls and time.monotonic() < deadline_s:  # noqa: ASYNC110  it is a clinic, told nothing
        await asyncio.sleep(0.1)


def _us_a_message(samples: Sequence[Sample]) -> float:
    """Processor time for each message, from its measurement to its receipt. The first sample has the start in it."""
    live = [(each, each.at_s - before.at_s) for before, each in pairwise(samples) if each.stage not in NOT_LIVE]
    messages = sum(each.sent * span_s for each, span_s in live)
    return round(sum(each.processor * span_s for each, span_s in live) / messages * 1e6, 1) if messages else 0.0


def _said(latency_ms: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.0f} ms" for name, value in latency_ms.items()) or "none"


def peak_memory_mb() -> float:
    """The most memory that this process has had at once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
