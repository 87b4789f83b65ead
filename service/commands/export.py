"""`pumpwatch export`: what is stored of a pump, as CSV."""

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.span import add_span, wrong
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres.accounts import audit
from service.postgres.export import What, exported
from service.postgres.queries import key_of


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("export", help="print what is stored of a pump as CSV")
    parser.add_argument("pump_id", metavar="PUMP")
    parser.add_argument("--what", type=What, choices=list(What), default=What.READINGS, help="default: readings")
    add_span(parser)
    add_database_url(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if what := wrong(arguments):
        print(what, file=sys.stderr)
        return EXIT_USAGE
    return with_database(settings_of(arguments), lambda connection: _export(connection, arguments))


async def _export(connection: asyncpg.Connection, arguments: argparse.Namespace) -> int:
    key = await key_of(connection, arguments.pump_id)
    if key is None:
        print(f"{arguments.pump_id}: no such pump", file=sys.stderr)
        return EXIT_PROBLEMS
    span = {"what": arguments.what, "from": arguments.since, "to": arguments.until}
    await audit(connection, actor(), "pump_exported", arguments.pump_id, span)

    @asynccontextmanager
    async def lent() -> AsyncIterator[asyncpg.Connection]:
        yield connection

    pieces = exported(lent, key, arguments.pump_id, arguments.what, since=arguments.since, until=arguments.until)
    async for piece in pieces:
        sys.stdout.write(piece.replace("\r\n", "\n"))
    sys.stdout.flush()
    return EXIT_OK
