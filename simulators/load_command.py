"""`pumpsim load`: put a load on broker and service, and say what became of it."""

import argparse
import asyncio
from pathlib import Path

from simulators import argument
from simulators.argument import EXIT_OK, EXIT_PROBLEMS, refuse
from simulators.clinic import check_secret
from simulators.fleet_command import problem_of, publishing
from simulators.load import WITNESS_HOURS, WITNESSES_AMONG, run_load
from simulators.page import page_of
from simulators.plan import Plan
from simulators.profiles import PROFILES, stages_of
from simulators.progress import Steps
from simulators.run import write_json

LONGEST_S = 86_400.0


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    parser.add_argument(
        "profile", choices=PROFILES, help="; ".join(f"{name}: {what}" for name, what in PROFILES.items())
    )
    argument.add_publishing(parser)
    argument.add_pumps(parser, interval_s=60.0)
    parser.add_argument("--for-s", type=argument.from_zero, default=60.0, metavar="S", help="how long it lasts in all")
    parser.add_argument("--factor", type=argument.from_zero, default=5.0, help="of a spike")
    parser.add_argument("--backlog-hours", type=argument.from_zero, default=1.0, metavar="H", help="of a burst")
    parser.add_argument("--readings-a-message", type=argument.readings, default=60, metavar="N", help="of a burst")
    parser.add_argument("--stalls", type=argument.whole, default=0, metavar="N", help="pumps that stall meanwhile")
    parser.add_argument(
        "--clinic-port", type=argument.port, metavar="PORT", help="where the service sends its webhooks"
    )
    parser.add_argument("--secret", help="of those webhooks: whsec_…")
    for name, what in (
        ("registry", "the CSV of the fleet"),
        ("labels", "the stalls, as JSON"),
        ("journal", "every message measured and every receipt, as NDJSON"),
        ("report", "what became of it, as JSON"),
        ("html", "the same to look at: one file, with charts"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=what)


def run(arguments: argparse.Namespace) -> int:
    problem = problem_of(arguments) or _problem_of_load(arguments)
    if problem:
        return refuse(problem)
    is_burst = arguments.profile == "burst"
    witnesses = arguments.stalls * WITNESSES_AMONG
    plan = Plan(
        **publishing(arguments),
        backlog_hours=max(WITNESS_HOURS if witnesses else 0.0, arguments.backlog_hours if is_burst else 0.0),
        backlog_pumps=None if is_burst else witnesses,
        readings_a_message=arguments.readings_a_message,
        faults="none",
        labels=arguments.labels,
        registry=arguments.registry,
        journal=arguments.journal,
        stages=stages_of(arguments.profile, arguments.for_s, arguments.factor),
    )
    clinic = None if arguments.clinic_port is None else (arguments.clinic_port, arguments.secret)
    with Steps() as steps:
        report = asyncio.run(run_load(plan, arguments.profile, arguments.stalls, clinic, steps))
        if arguments.report is not None:
            write_json(arguments.report, report)
        if arguments.html is not None:
            arguments.html.write_text(page_of(report), encoding="utf-8")
        for line in report.lines():
            steps.say(line)
    return EXIT_OK if report.is_complete else EXIT_PROBLEMS


def _problem_of_load(arguments: argparse.Namespace) -> str:
    if not 1 <= arguments.for_s <= LONGEST_S:
        return f"--for-s must be from 1 to {LONGEST_S:g}"
    if arguments.factor < 1:
        return "--factor must be at least 1"
    if (arguments.clinic_port is None) is not (arguments.secret is None):
        return "--clinic-port and --secret belong together"
    if arguments.stalls * WITNESSES_AMONG > len(arguments.shard.share_of(arguments.pumps)):
        return f"--stalls {arguments.stalls} needs {arguments.stalls * WITNESSES_AMONG} pumps"
    return check_secret(arguments.secret) if arguments.secret is not None else ""
