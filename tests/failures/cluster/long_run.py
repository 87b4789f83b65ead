"""How does a run go that lasts for a time? Mishaps one after the other, all of them again and again, to its end."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.failures.cluster.mishaps import ClusterMishap
from tests.failures.run import Outcome, Run

A_MOMENT_MS = 120_000


@dataclass
class LongRun(Run):
    """Like its parent, for at least so many seconds, whatever the machine can carry meanwhile."""

    lasts_s: float = 600.0

    async def play(self, mishaps: Sequence[ClusterMishap]) -> Outcome:
        stage, chance = self.stage, random.Random(self.seed)  # noqa: S311 - the same mishaps each time, on purpose
        began = time.monotonic()
        async with stage.fleet.running(stage.broker.mqtt_url):
            while time.monotonic() - began < self.lasts_s:
                for mishap in chance.sample(mishaps, len(mishaps)):
                    await self._stored_more(chance.randint(*self.after_readings))
                    self._note(mishap, time.monotonic() - began)
                    await mishap(stage)
                    await self._look_at_receipts()
                    if time.monotonic() - began > self.lasts_s:
                        break
            measured_s = time.monotonic() - began
            stage.fleet.load = replace(stage.fleet.load, hours=0.0)  # what it has measured by now is enough
            report = await stage.fleet.end()
            report.ended_ms = self._reached_ms()
        stage.ingester.check()
        return await self._outcome(report, measured_s)

    def _reached_ms(self) -> int:
        """How far the fleet has come, by the pumps' clocks: of its past it has told a part."""
        newest = sorted(
            max(item.time_ms for item in items.values()) for items in self.stage.fleet.said.measured.values()
        )
        return newest[len(newest) // 2] - A_MOMENT_MS
