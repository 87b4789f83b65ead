"""How does the demonstration go? Servers, service, a day of backlog, live time, and a verdict."""

import asyncio
import contextlib
import math
import signal
import time
from asyncio.subprocess import Process
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from rich.console import Console

from service.demo.board import Board, Seen
from service.demo.judge import Judgement, Label, before_the_end, judge
from service.demo.look import Outside
from service.demo.stage import Stage
from service.embedded.child import EmbeddedServerError
from service.exits import EXIT_OK, EXIT_PROBLEMS

BACKLOG_H = 24
LOOK_EVERY_S = 0.5
LOOKS_FOR_A_RATE = 10
# A slow machine has the backlog still before it when the live time is over.
DRAIN_S = 120
LAST_ALERTS_WITHIN_S = 15.0
A_VERY_LONG_TIME_S = 10 * 365 * 86_400


@dataclass(frozen=True)
class Options:
    directory: Path
    pumps: int
    seed: int
    live_s: int | None
    """None: until told to end."""
    report: Path | None


class Report(msgspec.Struct):
    well: bool
    problems: list[str]
    pumps: int
    seed: int
    live_s: int | None
    ready_after_s: float
    first_alert_delivered_after_s: float | None
    counts: dict[str, int]
    webhooks_verified: int
    judgement: Judgement
    fleet: Any


class Show:
    """One run. A first SIGINT or SIGTERM ends the live time, a second one everything at once."""

    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._board = Board(console)
        self._seen = Seen(pumps=options.pumps)
        self._fleet: Process | None = None
        self._ready_after_s = 0.0
        self._first_told_after_s: float | None = None
        self._live_from = math.inf
        self._looks: deque[tuple[float, int]] = deque(maxlen=LOOKS_FOR_A_RATE)

    async def run(self) -> int:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._told_to_end, task)
        try:
            async with Stage(self._options.directory) as stage:
                return await self._run(stage)
        except asyncio.CancelledError:
            self._board.say("Ended before there was anything to judge")
            return EXIT_PROBLEMS

    def _told_to_end(self, task: "asyncio.Task[int] | None") -> None:
        if self._fleet and self._fleet.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._fleet.terminate()
            self._fleet = None
        elif task:
            task.cancel()

    async def _run(self, stage: Stage) -> int:
        options, say, place = self._options, self._board.say, stage.directory
        say(f"Starting PostgreSQL and NATS in {options.directory}")
        csv = place / "fleet.csv"
        who = ["--pumps", options.pumps, "--seed", options.seed, "--interval", 1]
        writing = await stage.program("simulators", "registry", *who, "--out", csv)
        database_url, broker_url = await stage.servers()
        if await writing.wait():
            raise EmbeddedServerError(f"no fleet: {stage.last_words('registry')}")
        say("Starting the service and the clinic")
        at = await stage.open(database_url, broker_url, csv)
        self._ready_after_s = self._board.elapsed_s
        say(f"Ready. The API is {at.api_url}, the token of this demo {at.token}")
        say(f"  curl -H 'Authorization: Bearer {at.token}' {at.api_url}/api/v1/alerts")
        say(f"Now {options.pumps} pumps publish what they measured in the last day, then live: a reading a second each")
        labels = place / "labels.json"
        live_s = A_VERY_LONG_TIME_S if options.live_s is None else options.live_s
        publishing = ["--broker", broker_url, "--backlog-hours", BACKLOG_H, "--live-s", live_s, "--faults", "demo"]
        fleet_report = place / "fleet.json"
        writing_down = ["--labels", labels, "--report", fleet_report, "--drain-s", DRAIN_S]
        fleet = await stage.program("simulators", "fleet", *who, *publishing, *writing_down)
        self._fleet = fleet
        outside = Outside(at.api_url, at.token, at.clinic_url)
        say(f"The board: {at.api_url}{await outside.way_in()}  (logs in once, within a quarter of an hour)")
        self._board.open()
        try:
            judgement = await self._watch(outside, fleet, labels, fleet_report)
        finally:
            self._board.close()
            await outside.close()
        if fleet.returncode:
            say(f"The fleet ended with problems: {stage.last_words('fleet')}")
        return self._conclude(judgement, fleet_report, fleet_code=fleet.returncode or 0)

    async def _watch(self, outside: Outside, fleet: Process, labels: Path, fleet_report: Path) -> Judgement:
        """Look on until the fleet has ended and what was due has arrived, or time is up."""
        ended_at: float | None = None
        while True:
            unseen = ""
            try:
                await self._look(outside)
            except httpx.HTTPStatusError as error:  # something was broken on purpose, perhaps: it may come back
                unseen = f", the API answers {error.response.status_code}: what stands here is of before"
            except httpx.TransportError:
                unseen = ", the API does not answer: what stands here is of before"
            if ended_at is None and fleet.returncode is not None:
                ended_at = time.time()
            self._seen.progress = self._progress(ended=ended_at is not None) + unseen
            ended_ms = None if ended_at is None else _ended_ms(fleet_report) or round(ended_at * 1000)
            if ended_ms is not None:
                self._seen.alerts = before_the_end(self._seen.alerts, ended_ms)
            self._board.show(self._seen)
            if ended_at is not None and ended_ms is not None:
                judgement = judge(_read(labels), self._seen.alerts, self._seen.told, ended_ms)
                if judgement.well or time.time() - ended_at > LAST_ALERTS_WITHIN_S:
                    return judgement
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, outside: Outside) -> None:
        seen = self._seen
        seen.counts, seen.alerts, seen.told = await asyncio.gather(outside.counts(), outside.alerts(), outside.told())
        self._looks.append((time.monotonic(), seen.counts["readings"]))
        (from_s, before), (now_s, readings) = self._looks[0], self._looks[-1]
        seen.readings_per_s = (readings - before) / (now_s - from_s) if now_s > from_s else 0.0
        live_readings = readings - self._backlog
        if live_readings >= 0:
            # What is stored is never ahead of what was measured, so that the earliest of these is nearest to the truth.
            self._live_from = min(self._live_from, now_s - live_readings / self._options.pumps)
        if seen.told and self._first_told_after_s is None:
            self._first_told_after_s = self._board.elapsed_s

    @property
    def _backlog(self) -> int:
        return self._options.pumps * BACKLOG_H * 60

    def _progress(self, *, ended: bool) -> str:
        if ended:
            return "the fleet has ended"
        live_s = time.monotonic() - self._live_from
        if live_s < 0:
            return f"the last day, {self._seen.counts.get('readings', 0) * 100 // self._backlog} %"
        if self._options.live_s and live_s > self._options.live_s:
            return "waiting for the last receipts"
        return f"live {live_s:.0f} s" + (f" of {self._options.live_s}" if self._options.live_s else "; Ctrl-C ends it")

    def _conclude(self, judgement: Judgement, fleet_report: Path, *, fleet_code: int) -> int:
        problems = judgement.problems()
        if fleet_code:
            problems.append(f"the fleet ended with exit code {fleet_code}")
        if not judgement.faults:
            problems.append("the fleet injected nothing")
        due = [fault for fault in judgement.faults if fault.due]
        for fault in due:
            self._board.say(f"{'✓' if fault.well else '✗'} {fault.pump_id}  {fault.fault}")
        for problem in problems:
            self._board.say(f"✗ {problem}")
        if problems:
            self._board.say(f"What each process said is in {self._options.directory}/*.log")
        else:
            self._board.say(f"All {len(due)} faults that were due raised their alerts, and no alert was false")
        if self._options.report:
            report = Report(
                well=not problems,
                problems=problems,
                pumps=self._options.pumps,
                seed=self._options.seed,
                live_s=self._options.live_s,
                ready_after_s=round(self._ready_after_s, 1),
                first_alert_delivered_after_s=self._first_told_after_s and round(self._first_told_after_s, 1),
                counts=self._seen.counts,
                webhooks_verified=len(self._seen.told),
                judgement=judgement,
                fleet=msgspec.json.decode(fleet_report.read_bytes()) if fleet_report.exists() else None,
            )
            self._options.report.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
        return EXIT_PROBLEMS if problems else EXIT_OK


def _read(labels: Path) -> list[Label]:
    return msgspec.json.decode(labels.read_bytes(), type=list[Label]) if labels.exists() else []


def _ended_ms(fleet_report: Path) -> int | None:
    """When the fleet took its last reading; it stays for its receipts."""
    return msgspec.json.decode(fleet_report.read_bytes()).get("ended_ms") if fleet_report.exists() else None
