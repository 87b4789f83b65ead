"""`pumpwatch drill`: page for practice. Every body says that it is a drill, and it ends itself."""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.change import Priority
from service.core.rulebook import DEFAULT_RULEBOOK
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres import drills as store
from service.postgres.alerts import AlertStore


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("drill", help="page for practice whom a real alert would")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    begin = actions.add_parser("begin", help="begin one and print its alert's id")
    begin.add_argument("--priority", choices=tuple(Priority), default=Priority.HIGH)
    begin.add_argument("--site", help="whose policy is practised; without: that of the service's own alerts")
    begin.add_argument("--minutes", type=float, default=15.0, help="then it ends itself (15)")
    begin.add_argument("--note", default="", help="for the audit")
    begin.set_defaults(run=run_begin)
    listing = actions.add_parser("list", help="those under way, and who has answered")
    listing.set_defaults(run=run_list)
    end = actions.add_parser("end", help="before its time")
    end.add_argument("id", type=UUID)
    end.set_defaults(run=run_end)
    for action in (begin, listing, end):
        add_database_url(action)


def run_begin(arguments: argparse.Namespace) -> int:
    async def begin(connection: asyncpg.Connection) -> UUID:
        return await store.begin(
            connection,
            AlertStore(DEFAULT_RULEBOOK),
            actor(),
            datetime.now(UTC),
            priority=Priority(arguments.priority),
            site=arguments.site,
            lasts=timedelta(minutes=arguments.minutes),
            note=arguments.note,
        )

    try:
        alert = with_database(settings_of(arguments), begin)
    except store.DrillRefusedError as error:
        return _refused(error)
    print(alert)
    print("`pumpwatch alerts report ID` shows afterwards who was told and who answered", file=sys.stderr)
    return EXIT_OK


def run_list(arguments: argparse.Namespace) -> int:
    rows = with_database(settings_of(arguments), store.open_drills)
    columns = ("id", "subject", "priority", "by", "raised_at", "until", "acknowledged_by")
    header = ("ID", "SUBJECT", "PRIORITY", "BY", "BEGUN", "UNTIL", "ANSWERED")
    print(table(header, [[row[column] for column in columns] for row in rows]))
    return EXIT_OK


def run_end(arguments: argparse.Namespace) -> int:
    async def end(connection: asyncpg.Connection) -> None:
        await store.end(connection, AlertStore(DEFAULT_RULEBOOK), arguments.id, actor(), datetime.now(UTC))

    try:
        with_database(settings_of(arguments), end)
    except store.DrillRefusedError as error:
        return _refused(error)
    print(f"ended {arguments.id}")
    return EXIT_OK


def _refused(error: store.DrillRefusedError) -> int:
    print(error, file=sys.stderr)
    return EXIT_PROBLEMS
