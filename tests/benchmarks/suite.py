"""What is measured, in which order, and how much of it? One step at a time: each has the machine to itself."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.benchmarks import aiomqtt_row, ingest, latency, long_messages, restart, rules, subscriber
from tests.benchmarks.ground import MOSQUITTO, NATS, Ground, SkippedError
from tests.benchmarks.results import Results

UNKNOWN_RATE = 20_000  # what half load is half of, where the throughput was not measured


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. The defaults make each measurement last five to eight seconds."""

    rounds: int = 3
    messages: int = 150_000  # through NATS; twice as many through Mosquitto, which is twice as fast
    long_messages: int = 20_000
    plain_messages: int = 4_000
    probes: int = 250

    @classmethod
    def for_messages(cls, messages: int, rounds: int) -> "Size":
        """The same proportions for another number of messages."""
        usual = cls()
        share = messages / usual.messages
        long, plain, probes = (int(n * share) for n in (usual.long_messages, usual.plain_messages, usual.probes))
        return cls(rounds, messages, max(long, 1), max(plain, 1), max(probes, 10))


async def _mosquitto_sub(ground: Ground, size: Size, _: Results) -> dict[str, float]:
    return {"baseline.mosquitto_sub": await subscriber.measure(ground, MOSQUITTO, 2 * size.messages)}


async def _mosquitto(ground: Ground, size: Size, _: Results) -> dict[str, float]:
    ingested = await ingest.measure(ground, MOSQUITTO, ingest.Load(2 * size.messages))
    return {"ingest.mosquitto.single": ingested.messages_a_second}


async def _nats_sub(ground: Ground, size: Size, _: Results) -> dict[str, float]:
    return {"baseline.nats_sub": await subscriber.measure(ground, NATS, size.messages)}


async def _nats(ground: Ground, size: Size, _: Results) -> dict[str, float]:
    ingested = await ingest.measure(ground, NATS, ingest.Load(size.messages))
    return {"ingest.nats.single": ingested.messages_a_second, "cpu.message_us": ingested.cpu_us_a_message}


async def _sixty(ground: Ground, size: Size, _: Results) -> dict[str, float]:
    ingested = await ingest.measure(ground, NATS, ingest.Load(size.long_messages, long_messages.READINGS))
    return {"ingest.nats.sixty": ingested.messages_a_second * long_messages.READINGS}


async def _plain(ground: Ground, size: Size, _: Results) -> dict[str, float]:
    return {"baseline.aiomqtt_row": await aiomqtt_row.measure(ground, size.plain_messages)}


async def _latency(ground: Ground, size: Size, results: Results) -> dict[str, float]:
    rate = (results.value("ingest.nats.single") or UNKNOWN_RATE) / 2
    return {"alert.latency_p99_ms": await latency.measure(ground, rate, size.probes)}


async def _rules(_: Ground, __: Size, ___: Results) -> dict[str, float]:
    return {"rules.round_1000_us": rules.measure(1000), "rules.round_100_us": rules.measure(100)}


async def _restart(ground: Ground, size: Size, _: Results) -> dict[str, float]:
    return {"restart.pumps_10000_s": await restart.measure(ground, min(restart.PUMPS, size.messages))}


@dataclass(frozen=True, slots=True)
class Step:
    measure: Callable[[Ground, Size, Results], Awaitable[dict[str, float]]]
    names: tuple[str, ...]
    every_round: bool = True


STEPS = {
    "mosquitto_sub": Step(_mosquitto_sub, ("baseline.mosquitto_sub",)),
    "mosquitto": Step(_mosquitto, ("ingest.mosquitto.single",)),
    "nats_sub": Step(_nats_sub, ("baseline.nats_sub",)),
    "nats": Step(_nats, ("ingest.nats.single", "cpu.message_us")),
    "sixty": Step(_sixty, ("ingest.nats.sixty",)),
    "plain": Step(_plain, ("baseline.aiomqtt_row",), every_round=False),
    "latency": Step(_latency, ("alert.latency_p99_ms",), every_round=False),
    "restart": Step(_restart, ("restart.pumps_10000_s",), every_round=False),
    "rules": Step(_rules, ("rules.round_1000_us", "rules.round_100_us")),
}


async def run(results: Results, size: Size, only: Sequence[str], console: Console) -> None:
    """Fill `results`; what cannot be measured on this machine is skipped with the reason."""
    order = [name for _ in range(size.rounds) for name in only if STEPS[name].every_round]
    order += [name for name in only if not STEPS[name].every_round]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, Progress(*columns, console=console) as progress:
        shown = progress.add_task("starting PostgreSQL", total=len(order))
        ground = Ground(Path(directory))
        try:
            await ground.start()
            for name in order:
                step = STEPS[name]
                progress.update(shown, description=name)
                try:
                    measured = await step.measure(ground, size, results)
                except SkippedError as error:
                    results.skipped |= dict.fromkeys(step.names, str(error))
                else:
                    for figure, value in measured.items():
                        results.values[figure].append(value)
                progress.advance(shown)
            progress.update(shown, description="stopping PostgreSQL")
        finally:
            await asyncio.to_thread(ground.stop)
