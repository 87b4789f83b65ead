"""`pumpwatch alerts`: what is open, what a person says to it, how much it asks of people, and one on paper."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from service.commands import answers
from service.commands.database import add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.incident import Incident, page
from service.core.rulebook import DEFAULT_RULEBOOK
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres.burden import Burden, burden
from service.postgres.incidents import incident


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("alerts", help="what is open, answers to it, and how much alerts ask of people")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    answers.add_to(actions)
    report = actions.add_parser("burden", help="alerts a pump-day, who was told how often, how long answers took")
    report.add_argument("--days", type=float, default=7.0, help="up to now (7)")
    report.add_argument("--simulated", action="store_true", help="count simulated pumps as well")
    add_database_url(report)
    report.set_defaults(run=run_burden)
    paper = actions.add_parser("report", help="print one alert as a page of HTML, with all that is known of it")
    paper.add_argument("id", type=UUID)
    add_database_url(paper)
    paper.set_defaults(run=run_report)


def run_burden(arguments: argparse.Namespace) -> int:
    until = datetime.now(UTC)

    async def ask(connection: asyncpg.Connection) -> Burden:
        since = until - timedelta(days=max(arguments.days, 0.001))
        return await burden(connection, since, until, simulated=arguments.simulated)

    found = with_database(settings_of(arguments), ask)
    rate = "-" if found.alerts_per_pump_day is None else f"{found.alerts_per_pump_day:.3g}"
    print(f"{found.alerts} alerts of {found.pumps} pumps: {rate} a pump-day")
    print(f"{found.answered} of {found.asked} that somebody was told of were acknowledged")
    if found.answered:
        print(f"half of these within {_span(found.answer_p50_s)}, nine in ten within {_span(found.answer_p90_s)}")
    _print("CONDITION PRIORITY ALERTS CHATTERING INHIBITED LATE", [tuple(row) for row in found.by_condition])
    _print("ENDPOINT TOLD HIGH AGAIN GIVEN-UP", [tuple(row) for row in found.by_endpoint])
    _print("CONTACT TOLD", found.by_contact)
    _print("CHATTERING CONDITION EPISODES", [tuple(row) for row in found.chattering])
    _print("OPEN-FOR-A-DAY SUBJECT CONDITION PRIORITY SINCE ANSWERED", [tuple(row) for row in found.long_standing])
    return EXIT_OK


def run_report(arguments: argparse.Namespace) -> int:
    async def ask(connection: asyncpg.Connection) -> Incident | None:
        return await incident(connection, arguments.id, DEFAULT_RULEBOOK, datetime.now(UTC))

    found = with_database(settings_of(arguments), ask)
    if found is None:
        print(f"there is no alert {arguments.id}", file=sys.stderr)
        return EXIT_PROBLEMS
    print(page(found), end="")
    return EXIT_OK


def _print(header: str, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        print(f"\n{table(header.split(), rows)}")


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else str(timedelta(seconds=round(seconds)))
