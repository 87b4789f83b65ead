"""`pumpwatch erase`: forget a pump, for good."""

import argparse
import sys
from datetime import UTC, datetime

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres.erasure import ErasureRefusedError, erase


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "erase",
        help="forget a pump for good: what it said, and what was made of it",
        description="It must be out of service, without an open alert. Backups still hold it (docs/operations.md).",
    )
    parser.add_argument("pump_id", metavar="PUMP")
    parser.add_argument("--reason", required=True, help="why; it is kept in the audit, so no personal data")
    parser.add_argument("--yes", action="store_true", help="do it; without this it is only said what would be done")
    add_database_url(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    pump_id: str = arguments.pump_id
    if not arguments.reason.strip():
        print("--reason: say why", file=sys.stderr)
        return EXIT_USAGE
    if not arguments.yes:
        print(f"{pump_id} would be forgotten for good; say --yes to do it", file=sys.stderr)
        return EXIT_PROBLEMS
    try:
        gone = with_database(
            settings_of(arguments),
            lambda connection: erase(connection, pump_id, arguments.reason, actor(), datetime.now(UTC)),
        )
    except ErasureRefusedError as error:
        print(error, file=sys.stderr)
        return EXIT_PROBLEMS
    if gone is None:
        print(f"{pump_id}: no such pump", file=sys.stderr)
        return EXIT_PROBLEMS
    print(table(["TABLE", "ROWS"], sorted(gone.items())))
    return EXIT_OK
