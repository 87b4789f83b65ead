"""How does a run with failures go? A fleet publishes, one mishap after the other happens, and all is compared."""

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.failures.checker import Verdict, check, uncovered
from tests.failures.mishaps import Mishap
from tests.failures.oracle import findings
from tests.failures.stage import FleetReport, Stage
from tests.failures.stored import stored, stored_through
from tests.patience import until_true

RESUMES_WITHIN_S = 240.0  # a broker's patience with what an ingester took and left


@dataclass
class Happened:
    """When what happened, and how much was stored by then."""

    what: str
    at_s: float
    readings_stored: int


@dataclass
class Outcome:
    verdict: Verdict
    uncovered_meanwhile: list[str]
    fleet: FleetReport
    counts: dict[str, int]
    happened: list[Happened]
    alerts_due: int
    alerts_raised: int
    readings_stored: int
    events_stored: int
    took_s: float

    @property
    def problems(self) -> list[str]:
        return [*self.verdict.problems, *self.uncovered_meanwhile]


@dataclass
class Run:
    """`after_readings` is drawn from, before each mishap: so many more are stored, by the life of the ingester that
    then runs. 0 hits it while it starts.
    """

    stage: Stage
    seed: int
    after_readings: tuple[int, int]
    happened: list[Happened] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    async def play(self, mishaps: Sequence[Mishap]) -> Outcome:
        stage, chance = self.stage, random.Random(self.seed)  # noqa: S311 - the same mishaps each time, on purpose
        sys.stdout.write(f"seed {self.seed}, fleet {stage.fleet.load}\n")
        began = time.monotonic()
        async with stage.fleet.running(stage.broker.mqtt_url):
            for mishap in chance.sample(mishaps, len(mishaps)):
                await self._stored_more(chance.randint(*self.after_readings))
                self._note(mishap, time.monotonic() - began)
                await mishap(stage)
                await self._look_at_receipts()
            report = await stage.fleet.end()
        stage.ingester.check()
        took_s = time.monotonic() - began
        return await self._outcome(report, took_s)

    async def _stored_more(self, readings: int) -> None:
        ingester = self.stage.ingester
        goal = ingester.now("stored") + readings
        await until_true(lambda: ingester.now("stored") >= goal, f"{readings} more readings", RESUMES_WITHIN_S)

    def _note(self, mishap: Mishap, at_s: float) -> None:
        stored_by_now = self.stage.ingester.counts["stored"]
        self.happened.append(Happened(mishap.__name__, round(at_s, 2), stored_by_now))
        sys.stdout.write(f"{at_s:7.2f} s, {stored_by_now} readings stored: {mishap.__name__}\n")

    async def _look_at_receipts(self) -> None:
        """What was receipted before the mishap is stored after it."""
        said = self.stage.fleet.said.read_on()
        wrong = uncovered(said, await stored_through(self.stage.database_url, said.receipted.items()))
        self.problems += [f"after {self.happened[-1].what}: {each}" for each in wrong]

    async def _outcome(self, report: FleetReport, took_s: float) -> Outcome:
        stage, said = self.stage, self.stage.fleet.said
        in_database = await stored(stage.database_url)
        # No `watch` runs here, and silence is its business: a slow machine may still be at it when that is due.
        found = await findings(said.messages, stage.fleet.registry, stage.directory / "stream.ndjson")
        oracle = [each for each in found if each.condition != "silence"]
        labels = [label for label in stage.fleet.labels if "silence" not in label.expected]
        verdict = check(said, in_database, labels, oracle, report.ended_ms)
        due = [each for each in labels if each.due_ms is not None and each.due_ms <= report.ended_ms]
        return Outcome(
            verdict,
            self.problems,
            report,
            stage.ingester.counts,
            self.happened,
            alerts_due=sum(len(each.expected) for each in due),
            alerts_raised=len(in_database.raised),
            readings_stored=sum(row.item.flow_ml_d is not None for row in in_database.rows),
            events_stored=sum(row.item.flow_ml_d is None for row in in_database.rows),
            took_s=round(took_s, 1),
        )
