"""`pumpwatch deliveries`: what was sent to whom, what came of it, and sending it again."""

import argparse
import sys
from uuid import UUID

import asyncpg
import msgspec

from service.commands.arguments import instant
from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.delivery import Outcome
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres import deliveries as store


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("deliveries", help="what was sent to whom, and sending it again")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the newest first")
    listing.add_argument("--state", choices=("pending", "delivered", "failed", "collapsed"), help="failed: given up")
    listing.add_argument("--endpoint", metavar="NAME")
    listing.add_argument("--alert", type=UUID, metavar="ID")
    listing.add_argument("--since", type=instant, metavar="TIME", help="made at or after this: 2026-11-22T20:00:00Z")
    listing.add_argument("--outcome", choices=tuple(Outcome), help="of the last attempt")
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (100)")
    listing.set_defaults(run=run_list)
    show = actions.add_parser("show", help="one, with every request and its answer, as JSON")
    show.add_argument("id")
    show.set_defaults(run=run_show)
    redrive = actions.add_parser("redrive", help="send again what was given up")
    which = redrive.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?")
    which.add_argument("--endpoint", metavar="NAME", help="everything that was given up there")
    which.add_argument("--all", action="store_true", help="everything that was given up anywhere")
    redrive.set_defaults(run=run_redrive)
    give_up = actions.add_parser("give-up", help="try no longer what an endpoint has yet to be told")
    give_up.add_argument("--endpoint", metavar="NAME", required=True)
    give_up.set_defaults(run=run_give_up)
    for action in (listing, show, redrive, give_up):
        add_database_url(action)


def run_list(arguments: argparse.Namespace) -> int:
    async def ask(connection: asyncpg.Connection) -> list[asyncpg.Record]:
        return await store.deliveries(
            connection,
            states=[arguments.state] if arguments.state else None,
            endpoint=arguments.endpoint,
            alert_id=arguments.alert,
            outcomes=[arguments.outcome] if arguments.outcome else None,
            since=arguments.since,
            limit=arguments.limit,
        )

    rows = with_database(settings_of(arguments), ask)
    columns = ("id", "endpoint", "kind", "priority", "state", "attempts", "last_outcome", "created_at")
    header = ("ID", "ENDPOINT", "KIND", "PRIORITY", "STATE", "ATTEMPTS", "LAST", "MADE")
    print(table(header, [[row[column] for column in columns] for row in rows]))
    return EXIT_OK


def run_show(arguments: argparse.Namespace) -> int:
    async def ask(connection: asyncpg.Connection) -> tuple[asyncpg.Record | None, list[asyncpg.Record]]:
        return await store.delivery(connection, arguments.id), await store.attempts(connection, arguments.id)

    row, tries = with_database(settings_of(arguments), ask)
    if row is None:
        return _failed(f"{arguments.id}: no notification has this id")
    shown = {**row, "body": msgspec.json.decode(row["body"])}
    shown["tries"] = [{**each, "headers": msgspec.json.decode(each["headers"])} for each in tries]
    print(msgspec.json.format(msgspec.json.encode(shown)).decode())
    return EXIT_OK


def run_redrive(arguments: argparse.Namespace) -> int:
    async def redrive(connection: asyncpg.Connection) -> int:
        if arguments.id is None:
            return await store.redrive_all(connection, arguments.endpoint, actor())
        await store.redrive(connection, arguments.id, actor())
        return 1

    try:
        count = with_database(settings_of(arguments), redrive)
    except store.NotRedrivableError as error:
        return _failed(f"{arguments.id}: {error}")
    print(f"{count} will be sent again")
    return EXIT_OK


def run_give_up(arguments: argparse.Namespace) -> int:
    endpoint: str = arguments.endpoint

    async def give_up(connection: asyncpg.Connection) -> int | None:
        if not await store.knows_endpoint(connection, endpoint):
            return None
        return await store.give_up_all(connection, endpoint, actor())

    count = with_database(settings_of(arguments), give_up)
    if count is None:
        return _failed(f"{endpoint}: no endpoint has this name")
    print(f"{count} given up")
    return EXIT_OK


def _failed(why: str) -> int:
    print(why, file=sys.stderr)
    return EXIT_PROBLEMS
