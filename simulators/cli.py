"""The command line `pumpsim`. Each command parses arguments, calls one function, prints its result."""

import argparse
import asyncio
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from simulators.cast import parts_of
from simulators.clinic import Behaviour, Clinic, check_secret, recording, serve
from simulators.fleet import fleet_of, write_registry
from simulators.generate import Stream, lines_of
from simulators.link import Broker, broker_of
from simulators.plan import BOOTS_SINCE_MS, Plan
from simulators.progress import Steps
from simulators.run import run_fleet
from simulators.wire import MAX_BOOT, MAX_READINGS_A_MESSAGE, Encoding

EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE = 0, 1, 2
ENCODINGS = {
    "json": (Encoding.JSON,),
    "msgpack": (Encoding.MSGPACK,),
    "both": (Encoding.JSON, Encoding.MSGPACK),
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="pumpsim", description="Simulated pumps and a clinic. Simulation, not for clinical use."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_fleet(commands.add_parser("fleet", help="publish a fleet: its last day, then live"))
    _add_registry(commands.add_parser("registry", help="write the registry CSV of a fleet"))
    _add_generate(commands.add_parser("generate", help="write the wire messages of a fleet to standard output"))
    _add_clinic(commands.add_parser("clinic", help="receive webhooks, verify and record them"))
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_PROBLEMS
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _refuse(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        return EXIT_PROBLEMS


def run_fleet_command(arguments: argparse.Namespace) -> int:
    if not arguments.broker.is_loopback and not arguments.allow_remote:
        return _refuse(f"{arguments.broker} is not on loopback; --allow-remote allows it")
    plan = Plan(
        broker=arguments.broker,
        pumps=arguments.pumps,
        seed=arguments.seed,
        prefix=arguments.prefix,
        backlog_hours=arguments.backlog_hours,
        backlog_interval_s=arguments.backlog_interval,
        readings_a_message=arguments.readings_a_message,
        live_s=arguments.live_s,
        interval_s=arguments.interval,
        speed=arguments.speed,
        max_rate=arguments.max_rate,
        faults=arguments.faults,
        labels=arguments.labels,
        registry=arguments.registry,
        report=arguments.report,
        journal=arguments.journal,
        encodings=ENCODINGS[arguments.encoding],
        connections=arguments.connections,
        memory_readings=arguments.memory_readings,
        drain_s=arguments.drain_s,
        boot=arguments.boot,
        start_ms=arguments.start_ms,
        wait_for=arguments.wait_for,
    )
    with Steps() as steps:
        report = asyncio.run(run_fleet(plan, steps))
        for line in report.lines():
            steps.say(line)
    return EXIT_OK if report.is_complete else EXIT_PROBLEMS


def run_registry_command(arguments: argparse.Namespace) -> int:
    fleet = fleet_of(arguments.seed, arguments.pumps, prefix=arguments.prefix, interval_s=arguments.interval)
    on_ms = time.time_ns() // 1_000_000 if arguments.start_ms is None else arguments.start_ms
    if arguments.out is None:
        write_registry(fleet, sys.stdout, on_ms)
    else:
        with arguments.out.open("w", encoding="utf-8") as file:
            write_registry(fleet, file, on_ms)
    return EXIT_OK


def run_generate_command(arguments: argparse.Namespace) -> int:
    stream = Stream(
        pumps=arguments.pumps,
        hours=arguments.hours,
        interval_s=arguments.interval,
        seed=arguments.seed,
        prefix=arguments.prefix,
        faults=arguments.faults,
        start_ms=BOOTS_SINCE_MS if arguments.start_ms is None else arguments.start_ms,
        readings_a_message=arguments.readings_a_message,
    )
    with Steps() as steps:
        labels, lines = lines_of(stream, lambda share: steps.show(f"{arguments.pumps} pumps", share))
        if arguments.labels is not None:
            arguments.labels.write_bytes(msgspec.json.format(msgspec.json.encode(labels)) + b"\n")
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
    return EXIT_OK


def run_clinic_command(arguments: argparse.Namespace) -> int:
    behaviour = Behaviour(arguments.fail_rate, arguments.status, arguments.delay_s)
    problem = behaviour.problem() or next(filter(None, map(check_secret, arguments.secret)), "")
    if not problem and not Broker(arguments.host, arguments.port).is_loopback:
        problem = f"{arguments.host} is not on loopback"
    if problem:
        return _refuse(problem)

    async def receive() -> None:
        async with recording(arguments.record) as record:
            clinic = Clinic(arguments.secret, behaviour, record=record, seed=arguments.seed)
            await serve(clinic, arguments.host, arguments.port, lambda line: print(line, flush=True))

    asyncio.run(receive())
    return EXIT_OK


def _add_fleet(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run_fleet_command)
    parser.add_argument("--broker", type=_broker, required=True, metavar="URL", help="mqtt://host:port, on loopback")
    parser.add_argument("--allow-remote", action="store_true", help="allow a broker that is not on loopback")
    _add_pumps(parser, interval_s=1.0)
    parser.add_argument("--backlog-hours", type=_from_zero, default=24.0, metavar="H")
    parser.add_argument("--backlog-interval", type=_spacing, default=60.0, metavar="S")
    parser.add_argument("--readings-a-message", type=_readings, default=60, metavar="N", help="of the backlog")
    parser.add_argument("--live-s", type=_from_zero, default=60.0, metavar="S")
    parser.add_argument("--speed", type=_from_zero, default=0.0, help="times real time for the backlog; 0: no limit")
    parser.add_argument("--max-rate", type=_from_zero, default=0.0, help="messages a second; 0: no limit")
    parser.add_argument("--faults", type=_faults, default="demo", help="demo, none, or kinds with commas")
    for name, what in (
        ("labels", "what was injected, as JSON"),
        ("registry", "the CSV of the fleet"),
        ("report", "how the run went, as JSON"),
        ("journal", "every message measured and every receipt, as NDJSON"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=what)
    parser.add_argument("--encoding", choices=ENCODINGS, default="json")
    parser.add_argument("--connections", type=_count, default=4, metavar="N")
    parser.add_argument("--memory-readings", type=_count, default=20_000, metavar="N", help="what one pump can hold")
    parser.add_argument("--drain-s", type=_from_zero, default=15.0, metavar="S", help="how long to wait for receipts")
    parser.add_argument("--boot", type=_boot, help="default: the minutes from 2026 to the start")
    parser.add_argument("--wait-for", metavar="URL", help="wait until this answers 200")


def _add_registry(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run_registry_command)
    _add_pumps(parser, interval_s=1.0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run_generate_command)
    _add_pumps(parser, interval_s=60.0)
    parser.add_argument("--hours", type=_from_zero, default=24.0, metavar="H")
    parser.add_argument("--readings-a-message", type=_readings, default=60, metavar="N")
    parser.add_argument("--faults", type=_faults, default="none", help="demo, none, or kinds with commas")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="what was injected, as JSON")


def _add_clinic(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run_clinic_command)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=8490, help="0: a free one")
    parser.add_argument("--secret", action="append", required=True, help="whsec_…; may be repeated while rotating")
    parser.add_argument("--record", type=Path, metavar="FILE", help="every request as a line of NDJSON")
    parser.add_argument("--fail-rate", type=_from_zero, default=0.0, help="the share of requests that fail: 0 to 1")
    parser.add_argument("--status", type=int, default=503, help="what a failure answers")
    parser.add_argument("--delay-s", type=_from_zero, default=0.0, help="before every answer")
    parser.add_argument("--seed", type=int, default=0)


def _add_pumps(parser: argparse.ArgumentParser, *, interval_s: float) -> None:
    parser.add_argument("--pumps", type=_count, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--prefix", type=_prefix, default="p", help="of the pumps' ids")
    parser.add_argument("--interval", type=_spacing, default=interval_s, metavar="S", help="between two readings")
    parser.add_argument("--start-ms", type=_count, metavar="MS", help="when the first span begins")


def _broker(text: str) -> Broker:
    try:
        return broker_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _faults(text: str) -> str:
    try:
        parts_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _prefix(text: str) -> str:
    if not 0 < len(text) <= 32 or not all(each.isascii() and (each.isalnum() or each in "_-") for each in text):
        raise argparse.ArgumentTypeError("must be 1 to 32 of A-Z a-z 0-9 _ -")
    return text


def _from_zero(text: str) -> float:
    return _within(text, 0.0, 1e9)


def _spacing(text: str) -> float:
    return _within(text, 0.001, 86_400.0)


def _count(text: str) -> int:
    return int(_within(text, 1, 1e14))


def _readings(text: str) -> int:
    return int(_within(text, 1, MAX_READINGS_A_MESSAGE))


def _boot(text: str) -> int:
    return int(_within(text, 0, MAX_BOOT))


def _port(text: str) -> int:
    return int(_within(text, 0, 65535))


def _within(text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"must be a number from {low:g} to {high:g}")
    return number


def _refuse(problem: str) -> int:
    print(f"pumpsim: {problem}", file=sys.stderr)
    return EXIT_USAGE
