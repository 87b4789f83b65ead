"""What is measured, in which order, and how much of it? One step at a time: each has the machine to itself."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.benchmarks import (
    aiomqtt_script,
    asking,
    backlog,
    board,
    cluster,
    growth,
    ingest,
    latency,
    load,
    long_messages,
    machine,
    memory,
    restart,
    rules,
    subscriber,
)
from tests.benchmarks.ground import MOSQUITTO, NATS, Ground, SkippedError
from tests.benchmarks.results import CATALOGUE, Results

UNKNOWN_RATE = 20_000  # what half load is half of, where the throughput was not measured
BATCH = 500
FLEET = 100_000

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. The defaults make each measurement last five to eight seconds."""

    rounds: int = 3
    messages: int = 150_000  # through NATS; twice as many through Mosquitto, which is twice as fast
    pumps: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    history: tuple[int, ...] = (1_000_000, 10_000_000)
    lengths: tuple[int, ...] = (1, 6, 60)

    def part(self, of_messages: int, least: int = 1) -> int:
        """What is `of_messages` where there are 150,000."""
        return max(of_messages * self.messages // 150_000, least)


async def _mosquitto_sub(ground: Ground, size: Size, _: Results) -> Figures:
    return {"baseline.mosquitto_sub": await subscriber.measure(ground, MOSQUITTO, 2 * size.messages)}


async def _mosquitto(ground: Ground, size: Size, _: Results) -> Figures:
    ingested = await ingest.measure(ground, MOSQUITTO, ingest.Load(2 * size.messages))
    return {"ingest.mosquitto.single": ingested.messages_a_second}


async def _nats_sub(ground: Ground, size: Size, _: Results) -> Figures:
    return {"baseline.nats_sub": await subscriber.measure(ground, NATS, size.messages)}


async def _nats(ground: Ground, size: Size, _: Results) -> Figures:
    ingested = await ingest.measure(ground, NATS, ingest.Load(size.messages))
    return {"ingest.nats.single": ingested.messages_a_second, "cpu.message_us": ingested.cpu_us_a_message}


async def _sixty(ground: Ground, size: Size, _: Results) -> Figures:
    told = ingest.Load(size.part(20_000), long_messages.READINGS)
    ingested = await ingest.measure(ground, NATS, told)
    return {"ingest.nats.sixty": ingested.messages_a_second * told.readings}


async def _scripts(ground: Ground, size: Size, _: Results) -> Figures:
    return {
        "baseline.aiomqtt_row": await aiomqtt_script.measure(ground, size.part(4_000), 1),
        "baseline.aiomqtt_batch": await aiomqtt_script.measure(ground, size.part(20_000), BATCH),
    }


async def _latency(ground: Ground, size: Size, results: Results) -> Figures:
    rate = (results.value("ingest.nats.single") or UNKNOWN_RATE) / 2
    return {"alert.latency_p99_ms": await latency.measure(ground, rate, size.part(250, least=10))}


async def _backlog(ground: Ground, size: Size, _: Results) -> Figures:
    worked_off = await backlog.measure(ground, MOSQUITTO, size.messages)
    return {"backlog.mosquitto": worked_off.messages_a_second, "backlog.repeated": worked_off.repeated}


async def _pumps(ground: Ground, size: Size, results: Results) -> Figures:
    return {"growth.pumps": await growth.with_pumps(ground, results, size.pumps, 2 * size.messages)}


async def _history(ground: Ground, size: Size, results: Results) -> Figures:
    return {"growth.history": await growth.with_history(ground, results, size.history, 2 * size.messages)}


async def _payloads(ground: Ground, size: Size, results: Results) -> Figures:
    await growth.with_readings(ground, results, size.lengths, 4 * size.messages)
    return {}


async def _restart(ground: Ground, size: Size, _: Results) -> Figures:
    return {"restart.pumps_10000_s": await restart.measure(ground, min(restart.PUMPS, size.messages))}


async def _memory(_: Ground, size: Size, __: Results) -> Figures:
    pumps = min(FLEET, size.messages)
    return {"memory.pumps_100000_mb": memory.measure(pumps) * FLEET / pumps}


async def _board(ground: Ground, size: Size, _: Results) -> Figures:
    return await board.measure(ground, min(board.PUMPS, size.messages), size.part(40, least=3), size.part(5))


async def _api(ground: Ground, size: Size, results: Results) -> Figures:
    rate = (results.value("ingest.nats.single") or UNKNOWN_RATE) / 2
    return await asking.measure(ground, min(asking.PUMPS, size.messages), rate, size.part(1_000, least=20))


async def _stream(ground: Ground, size: Size, _: Results) -> Figures:
    return await asking.follow(ground, size.part(asking.FOLLOWERS, least=5), size.part(20, least=2))


async def _cluster(ground: Ground, size: Size, _: Results) -> Figures:
    # Few at once: a node closes the connection of one who stands still for long, and sends again two minutes later.
    return await cluster.measure(ground, load.PUMPS * size.part(5), load.PUMPS * size.part(5), size.rounds + 1)


async def _rules(_: Ground, __: Size, ___: Results) -> Figures:
    return {"rules.round_1000_us": rules.measure(1000), "rules.round_100_us": rules.measure(100)}


@dataclass(frozen=True, slots=True)
class Step:
    measure: Callable[[Ground, Size, Results], Awaitable[Figures]]
    names: tuple[str, ...]
    every_round: bool = True


STEPS = {
    "mosquitto_sub": Step(_mosquitto_sub, ("baseline.mosquitto_sub",)),
    "mosquitto": Step(_mosquitto, ("ingest.mosquitto.single",)),
    "nats_sub": Step(_nats_sub, ("baseline.nats_sub",)),
    "nats": Step(_nats, ("ingest.nats.single", "cpu.message_us")),
    "sixty": Step(_sixty, ("ingest.nats.sixty",)),
    "rules": Step(_rules, ("rules.round_1000_us", "rules.round_100_us")),
    "scripts": Step(_scripts, ("baseline.aiomqtt_row", "baseline.aiomqtt_batch"), every_round=False),
    "latency": Step(_latency, ("alert.latency_p99_ms",), every_round=False),
    "board": Step(_board, ("board.fleet_s", "board.value_s", "board.alert_p99_ms"), every_round=False),
    "api": Step(_api, (*asking.RATES, "api.requests_a_core_s"), every_round=False),
    "stream": Step(_stream, ("stream.p99_ms",), every_round=False),
    "backlog": Step(_backlog, ("backlog.mosquitto", "backlog.repeated"), every_round=False),
    "cluster": Step(_cluster, tuple(name for name in CATALOGUE if name.startswith("cluster.")), every_round=False),
    "pumps": Step(_pumps, ("growth.pumps",), every_round=False),
    "payloads": Step(_payloads, (), every_round=False),
    "history": Step(_history, ("growth.history",), every_round=False),
    "restart": Step(_restart, ("restart.pumps_10000_s",), every_round=False),
    "memory": Step(_memory, ("memory.pumps_100000_mb",), every_round=False),
}


async def run(results: Results, size: Size, only: Sequence[str], console: Console, url: str | None = None) -> None:
    """Fill `results`; what cannot be measured on this machine is skipped with the reason."""
    order = [name for _ in range(size.rounds) for name in only if STEPS[name].every_round]
    order += [name for name in only if not STEPS[name].every_round]
    results.machine = machine.described()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, Progress(*columns, console=console) as progress:
        shown = progress.add_task("starting PostgreSQL", total=len(order))
        ground = Ground(Path(directory), url)
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
    results.machine["load_after"] = machine.load()
