"""`pumpwatch migrate`: bring the database up to date, or say what that would take."""

import argparse
import asyncio
import sys

import asyncpg

from service.commands.database import settings_of, with_database
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres.endpoints import seal_all, unsealed
from service.postgres.migrate import migrate, pending
from service.vault import NO_KEY, Vault, vault_of


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("migrate", help="bring the database up to date")
    parser.add_argument("--check", action="store_true", help="only say what would run; exit 1 if anything would")
    parser.add_argument("--database-url", metavar="URL", help="instead of PUMPWATCH_DATABASE_URL")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    if arguments.check:
        names = asyncio.run(pending(settings.database_url))
        print("\n".join(f"would apply {name}" for name in names) or "up to date")
        return EXIT_PROBLEMS if names else EXIT_OK
    names = asyncio.run(migrate(settings.database_url))
    print("\n".join(f"applied {name}" for name in names) or "up to date")
    return with_database(settings, lambda connection: _seal(connection, vault_of(settings)))


async def _seal(connection: asyncpg.Connection, vault: Vault) -> int:
    """Secrets of an earlier version stand in the database as they are."""
    if vault.has_key:
        if count := await seal_all(connection, vault):
            print(f"sealed the secrets of {count} endpoints")
    elif count := await unsealed(connection):
        print(f"the secrets of {count} endpoints are not sealed. {NO_KEY}", file=sys.stderr)
        return EXIT_PROBLEMS
    return EXIT_OK
