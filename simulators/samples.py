"""How does a load go, moment by moment? Samples of a running fleet, for the charts of its report."""

import asyncio
import time
from typing import Final

import msgspec

from simulators.journal import Latencies
from simulators.run import Run

MOST_SAMPLES: Final = 300


class Sample(msgspec.Struct):
    """What happened since the sample before. Rates are a second; latencies in ms, empty where nothing was answered."""

    at_s: float
    stage: str
    connected: int
    disconnects: int
    measured: float  # messages
    sent: float
    settled: float
    receipted: float  # readings and events
    held: int  # readings and events without a receipt
    processor: float  # the share of one that this process used
    settle_ms: dict[str, float]
    receipt_ms: dict[str, float]


class Sampler:
    """Looks at a run every so often, at most MOST_SAMPLES times in the time that it is expected to take."""

    def __init__(self, run: Run, expected_s: float) -> None:
        self.samples: list[Sample] = []
        self._run = run
        self._every_s = max(1.0, expected_s / MOST_SAMPLES)
        self._before: tuple[float, float, dict[str, int]] = (time.monotonic(), time.process_time(), {})
        self._settle, self._receipt = Latencies(), Latencies()

    async def look_on(self) -> None:
        """Sample until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            self.look()

    def look(self) -> None:
        publisher, now_s, cpu_s = self._run.publisher, time.monotonic(), time.process_time()
        before_s, cpu_before_s, before = self._before
        tally: dict[str, int] = msgspec.structs.asdict(publisher.tally)
        span_s = max(now_s - before_s, 1e-3)

        def rate(name: str) -> float:
            return round((tally[name] - before.get(name, 0)) / span_s, 1)

        settle, receipt = publisher.settle_latencies.copy(), publisher.receipt_latencies.copy()
        self.samples.append(
            Sample(
                at_s=round(now_s - self._run.began_s, 1),
                stage=self._run.stage,
                connected=publisher.uplinks.up_count,
                disconnects=tally["disconnects"] - before.get("disconnects", 0),
                measured=rate("messages"),
                sent=rate("sent"),
                settled=rate("settled"),
                receipted=rate("receipted_items"),
                held=publisher.held_items(),
                processor=round((cpu_s - cpu_before_s) / span_s, 3),
                settle_ms=settle.since(self._settle).percentiles_ms(),
                receipt_ms=receipt.since(self._receipt).percentiles_ms(),
            )
        )
        self._before = now_s, cpu_s, tally
        self._settle, self._receipt = settle, receipt
