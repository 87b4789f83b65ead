"""The command line `pumpsim`. Each command parses arguments, calls one function, prints its result."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from simulators import (
    argument,
    fleet_command,
    generate_command,
    inject_command,
    load_command,
    scenario_command,
    score_command,
)
from simulators.argument import EXIT_OK, EXIT_PROBLEMS, refuse
from simulators.broker import Broker
from simulators.clinic import Behaviour, Clinic, check_secret, recording, serve
from simulators.fleet import fleet_of, write_registry


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="pumpsim", description="Simulated pumps and a clinic. Simulation, not for clinical use."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    fleet_command.add(commands.add_parser("fleet", help="publish a fleet: its last day, then live"))
    load_command.add(commands.add_parser("load", help="put a load on broker and service, and say what became of it"))
    inject_command.add(commands.add_parser("inject", help="let a fault begin in a fleet that is running"))
    _add_registry(commands.add_parser("registry", help="write the registry CSV of a fleet"))
    generate_command.add(commands.add_parser("generate", help="write the wire messages of a fleet to standard output"))
    scenario_command.add(commands.add_parser("scenario", help="what can happen to a pump, told step by step"))
    score_command.add(commands.add_parser("score", help="how good a rulebook is, on a labelled fleet"))
    _add_clinic(commands.add_parser("clinic", help="receive webhooks, verify and record them"))
    return top


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_PROBLEMS
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return refuse(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        return EXIT_PROBLEMS


def run_registry_command(arguments: argparse.Namespace) -> int:
    fleet = fleet_of(arguments.seed, arguments.pumps, prefix=arguments.prefix, interval_s=arguments.interval)
    on_ms = time.time_ns() // 1_000_000 if arguments.start_ms is None else arguments.start_ms
    if arguments.out is None:
        write_registry(fleet, sys.stdout, on_ms)
    else:
        with arguments.out.open("w", encoding="utf-8") as file:
            write_registry(fleet, file, on_ms)
    return EXIT_OK


def run_clinic_command(arguments: argparse.Namespace) -> int:
    behaviour = Behaviour(arguments.fail_rate, arguments.status, arguments.delay_s)
    problem = behaviour.problem() or next(filter(None, map(check_secret, arguments.secret)), "")
    if not problem and not Broker(arguments.host, arguments.port).is_loopback:
        problem = f"{arguments.host} is not on loopback"
    if problem:
        return refuse(problem)

    async def receive() -> None:
        async with recording(arguments.record) as record:
            clinic = Clinic(arguments.secret, behaviour, record=record, seed=arguments.seed)
            await serve(clinic, arguments.host, arguments.port, lambda line: print(line, flush=True))

    asyncio.run(receive())
    return EXIT_OK


def _add_registry(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run_registry_command)
    argument.add_pumps(parser, interval_s=1.0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")


def _add_clinic(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run_clinic_command)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=argument.port, default=8490, help="0: a free one")
    parser.add_argument("--secret", action="append", required=True, help="whsec_…; may be repeated while rotating")
    parser.add_argument("--record", type=Path, metavar="FILE", help="every request as a line of NDJSON")
    parser.add_argument(
        "--fail-rate", type=argument.from_zero, default=0.0, help="the share of requests that fail: 0 to 1"
    )
    parser.add_argument("--status", type=int, default=503, help="what a failure answers")
    parser.add_argument("--delay-s", type=argument.from_zero, default=0.0, help="before every answer")
    parser.add_argument("--seed", type=int, default=0)
