"""`pumpwatch migrate`: bring the database up to date, or say what that would take."""

import argparse
import asyncio

from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres.migrate import migrate, pending
from service.settings import load


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("migrate", help="bring the database up to date")
    parser.add_argument("--check", action="store_true", help="only say what would run; exit 1 if anything would")
    parser.add_argument("--database-url", metavar="URL", help="instead of PUMPWATCH_DATABASE_URL")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    url = load(required=["database_url"], database_url=arguments.database_url).database_url
    if arguments.check:
        names = asyncio.run(pending(url))
        print("\n".join(f"would apply {name}" for name in names) or "up to date")
        return EXIT_PROBLEMS if names else EXIT_OK
    names = asyncio.run(migrate(url))
    print("\n".join(f"applied {name}" for name in names) or "up to date")
    return EXIT_OK
