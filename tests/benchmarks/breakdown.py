"""Where does each microsecond of a message go? The ingester under load, its processor time by stage.

python -m tests.benchmarks.breakdown --broker mosquitto --messages 200000 --pumps 1000
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.benchmarks import ingest, load
from tests.benchmarks.ground import MOSQUITTO, NATS, Ground
from tests.benchmarks.long_messages import JSON, MESSAGEPACK
from tests.benchmarks.roles import Role

WRITTEN_WITHIN_S: Final = 10.0

# The innermost frame that one of these names decides: a part of the file's path, its functions (none: all), the stage.
STAGES: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("benchmarks/sampled", (), "the sampler"),
    ("mqtt/client", ("_sock_recv",), "socket: recv"),
    ("paho/mqtt/client", ("_sock_recv",), "socket: recv"),
    ("paho/mqtt/client", ("_sock_send",), "socket: send"),
    ("paho/", (), "paho"),
    ("mqtt/packets", ("take_publishes",), "PUBLISH packets"),
    ("mqtt/packets", ("pubacks",), "settle"),
    ("mqtt/packets", ("publish_qos_0",), "receipts"),
    ("mqtt/held", ("settle",), "settle"),
    ("mqtt/held", (), "held messages"),
    ("mqtt/inbox", ("settle",), "settle"),
    ("mqtt/client", ("send_pubacks", "flush"), "settle"),
    ("mqtt/link", ("settle", "_flush"), "settle"),
    ("mqtt/", ("publish", "send_publish"), "receipts"),
    ("mqtt/", (), "inbox"),
    ("core/validate", (), "validate"),
    ("core/reading", ("round_to_stored",), "validate"),
    ("core/decode", (), "decode"),
    ("core/columns", (), "decode"),
    ("core/payload", (), "decode"),
    ("core/pipeline", ("take", "take_items"), "order"),
    ("core/clocks", (), "clocks"),
    ("core/boots", (), "clocks"),
    ("core/ledger", (), "ledger"),
    ("core/spans", (), "ledger"),
    ("loops/earlier", (), "ledger"),
    ("core/pipeline", ("publish", "publish_folded", "_remember_latest"), "publish"),
    ("core/pipeline", ("receipts_due",), "receipts"),
    ("core/pipeline", ("messages_done",), "settle"),
    ("core/pipeline", (), "decide, the rest"),
    ("core/evaluate", (), "rules"),
    ("core/rules/", (), "rules"),
    ("core/fleet", (), "rules"),
    ("postgres/readings", ("_encode", "copy_in"), "COPY encode"),
    ("postgres/latest", (), "save_latest"),
    ("postgres/checkpoint", (), "checkpoints"),
    ("loops/recover", (), "checkpoints"),
    ("postgres/", (), "commit"),
    ("loops/ingest", ("_send_receipts",), "receipts"),
    ("loops/ingest", ("_save",), "save_latest"),
    ("loops/ingest", ("_checkpoint", "_write_checkpoints"), "checkpoints"),
    ("prometheus_client/", (), "metrics"),
    ("loops/ingest", (), "ingest loop"),
    ("asyncpg/", (), "asyncpg"),
    ("asyncio/", (), "event loop"),
    ("selectors", (), "event loop"),
)


def stage_of(stack: str) -> str:
    """The stage of a stack, innermost frame first."""
    for frame in stack.split(";"):
        path, _, function = frame.rpartition(":")
        for part, functions, stage in STAGES:
            if part in path and (not functions or function in functions):
                return stage
    return "other"


def by_stage(seconds: Mapping[str, float]) -> dict[str, float]:
    totals: defaultdict[str, float] = defaultdict(float)
    for stack, spent_s in seconds.items():
        totals[stage_of(stack)] += spent_s
    return dict(sorted(totals.items(), key=lambda entry: -entry[1]))


@contextmanager
def sampled(role: Role, destination: Path) -> Iterator[None]:
    os.kill(role.child.pid, signal.SIGUSR1)
    yield
    os.kill(role.child.pid, signal.SIGUSR2)
    deadline = time.monotonic() + WRITTEN_WITHIN_S
    while not destination.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


async def measure(
    ground: Ground, broker: str, told: ingest.Load, keep: Path | None = None
) -> tuple[ingest.Ingested, dict[str, float]]:
    """What came of the load, and microseconds a message by stage; `keep`: where to write the stacks themselves."""
    destination = ground.directory / f"sampled_{time.monotonic_ns()}.json"
    ingested = await ingest.measure(
        ground,
        broker,
        told,
        watch=lambda role: sampled(role, destination),
        program=("tests.benchmarks.sampled", destination),
    )
    seconds = json.loads(destination.read_text(encoding="utf-8"))
    if keep:
        keep.write_text(json.dumps(seconds), encoding="utf-8")
    return ingested, {stage: spent_s / told.messages * 1e6 for stage, spent_s in by_stage(seconds).items()}


async def run(arguments: argparse.Namespace) -> None:
    told = ingest.Load(arguments.messages, arguments.readings, arguments.pumps, arguments.form, known=True)
    with tempfile.TemporaryDirectory(prefix="breakdown-") as directory:
        ground = Ground(Path(directory))
        try:
            await ground.start()
            ingested, stages = await measure(ground, arguments.broker, told, arguments.stacks)
        finally:
            await asyncio.to_thread(ground.stop)
    sys.stdout.write(_table(ingested, stages))


def _table(ingested: ingest.Ingested, stages: Mapping[str, float]) -> str:
    whose = {"ingester": ingested.cpu_us_a_message, "broker": ingested.broker_us_a_message}
    whose["database"] = ingested.database_us_a_message
    lines = [f"{ingested.messages_a_second:,.0f} messages/s; processor time a message, µs:"]
    lines += [f"  {name:18}{spent_us:8.2f}" for name, spent_us in whose.items()]
    lines += ["of the ingester's:", *(f"  {name:18}{spent_us:8.2f}" for name, spent_us in stages.items())]
    lines += [
        "by the clock:",
        *(f"  {name:18}{took_us:8.2f}" for name, took_us in ingested.stages_us_a_message.items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.breakdown", description=__doc__)
    parser.add_argument("--broker", choices=(MOSQUITTO, NATS), default=MOSQUITTO)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--readings", type=int, default=1)
    parser.add_argument("--pumps", type=int, default=load.PUMPS)
    parser.add_argument("--form", choices=(JSON, MESSAGEPACK), default=JSON)
    parser.add_argument("--stacks", type=Path, help="keep what was seen, with its callers, in this JSON file")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
