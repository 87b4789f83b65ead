"""`pumpsim fleet`: publish a fleet, its last day first, then live."""

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulators import argument
from simulators.argument import ENCODINGS, EXIT_OK, EXIT_PROBLEMS, refuse
from simulators.certificates import Certificates
from simulators.control import default_directory
from simulators.fleet import SITES, fleet_of
from simulators.lanes import sockets_needed
from simulators.plan import Plan
from simulators.progress import Steps
from simulators.run import run_fleet
from simulators.start import TooFewFilesError, allow_files


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    argument.add_publishing(parser)
    argument.add_pumps(parser, interval_s=1.0)
    parser.add_argument("--backlog-hours", type=argument.from_zero, default=24.0, metavar="H")
    parser.add_argument("--backlog-interval", type=argument.spacing, default=60.0, metavar="S")
    parser.add_argument("--readings-a-message", type=argument.readings, default=60, metavar="N", help="of the backlog")
    parser.add_argument("--live-s", type=argument.from_zero, default=60.0, metavar="S", help="of the fleet's own time")
    parser.add_argument("--speed", type=argument.from_zero, default=0.0, help="times real time; 0: no hurry live")
    parser.add_argument("--max-rate", type=argument.from_zero, default=0.0, help="messages a second; 0: no limit")
    parser.add_argument("--faults", type=argument.faults, default="demo", help="demo, none, or kinds with commas")
    for name, what in (
        ("labels", "what was injected, as JSON"),
        ("registry", "the CSV of the fleet"),
        ("report", "how the run went, as JSON"),
        ("journal", "every message measured and every receipt, as NDJSON"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=what)


def run(arguments: argparse.Namespace) -> int:
    if problem := problem_of(arguments):
        return refuse(problem)
    plan = Plan(
        **publishing(arguments),
        backlog_hours=arguments.backlog_hours,
        backlog_interval_s=arguments.backlog_interval,
        readings_a_message=arguments.readings_a_message,
        live_s=arguments.live_s,
        speed=arguments.speed,
        max_rate=arguments.max_rate,
        faults=arguments.faults,
        labels=arguments.labels,
        registry=arguments.registry,
        report=arguments.report,
        journal=arguments.journal,
    )
    with Steps() as steps:
        report = asyncio.run(run_fleet(plan, steps))
        for line in report.lines():
            steps.say(line)
    return EXIT_OK if report.is_complete else EXIT_PROBLEMS


def problem_of(arguments: argparse.Namespace) -> str:
    """Why this cannot be published; empty: it can, and there are files enough for its connections."""
    if not arguments.broker.is_loopback and not arguments.allow_remote:
        return f"{arguments.broker} is not on loopback; --allow-remote allows it"
    if (arguments.api is None) is not (arguments.token_file is None):
        return "--api and --token-file belong together"
    pumps = len(arguments.shard.share_of(arguments.pumps))
    if not pumps:
        return f"--shard {arguments.shard.number}/{arguments.shard.processes} of {arguments.pumps} pumps is none"
    if problem := _problem_of_tls(arguments):
        return problem
    try:
        allow_files(sockets_needed(arguments.connections, pumps, len(SITES)))
    except TooFewFilesError as error:
        return str(error)
    return ""


def _problem_of_tls(arguments: argparse.Namespace) -> str:
    if arguments.tls_dir is None:
        return ""
    if not arguments.broker.tls:
        return "--tls-dir needs --broker mqtts://…"
    if arguments.connections != "pump":
        return "--tls-dir needs --connections pump: a certificate speaks for one pump"
    share = arguments.shard.share_of(arguments.pumps)
    fleet = fleet_of(arguments.seed, arguments.pumps, prefix=arguments.prefix, interval_s=arguments.interval)
    return Certificates(arguments.tls_dir).problem(pump.pump_id for pump in fleet[share.start : share.stop])


def publishing(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `argument.add_publishing` and `argument.add_pumps` have asked for, as a plan has it."""
    certificates = None if arguments.tls_dir is None else Certificates(arguments.tls_dir)
    return {
        "broker": arguments.broker if certificates is None else replace(arguments.broker, certificates=certificates),
        "pumps": arguments.pumps,
        "seed": arguments.seed,
        "prefix": arguments.prefix,
        "interval_s": arguments.interval,
        "start_ms": arguments.start_ms,
        "encodings": ENCODINGS[arguments.encoding],
        "connections": arguments.connections,
        "connects_a_second": arguments.connects_a_second,
        "shard": arguments.shard,
        "memory_readings": arguments.memory_readings,
        "drain_s": arguments.drain_s,
        "boot": arguments.boot,
        "wait_for": arguments.wait_for,
        "control": arguments.control or default_directory(),
        "api": arguments.api,
        "token_file": arguments.token_file,
    }
