"""`pumpwatch quarantine`: the messages that could not be understood, and why."""

import argparse
import base64
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import asyncpg

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import shown, table
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres import aside

NEWEST = (1 << 63) - 1


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("quarantine", help="look at the messages that were kept aside")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the newest first")
    listing.add_argument("--reason", help="only those")
    listing.add_argument("--limit", type=int, default=50, help="how many; default 50")
    listing.set_defaults(run=run_list)
    show = actions.add_parser("show", help="one message, with its first bytes")
    show.add_argument("id", type=int)
    show.add_argument("--base64", action="store_true", help="only the bytes, in base64")
    show.set_defaults(run=run_show)
    replay = actions.add_parser("replay", help="have messages read again, now that what was wrong is put right")
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument("id", type=int, nargs="?")
    which.add_argument("--reason", help="all that were kept aside for it, the oldest first")
    replay.add_argument("--pump", help="with --reason: only of this one")
    replay.add_argument("--most", type=int, default=1000, help="with --reason: at most so many; default 1000")
    replay.set_defaults(run=run_replay)
    drop = actions.add_parser("drop", help="say that a message is not needed, and why")
    drop.add_argument("id", type=int)
    drop.add_argument("--reason", required=True)
    drop.set_defaults(run=run_drop)
    for action in (listing, show, replay, drop):
        add_database_url(action)


def run_list(arguments: argparse.Namespace) -> int:
    reason, limit = arguments.reason, arguments.limit
    rows = with_database(
        settings_of(arguments),
        lambda connection: aside.page(connection, before=NEWEST, reason=reason, limit=limit),
    )
    columns = ("id", "received_at", "state", "reason", "topic", "length", "detail")
    header = ("ID", "RECEIVED", "STATE", "REASON", "TOPIC", "BYTES", "DETAIL")
    print(table(header, [[row[column] for column in columns] for row in rows]))
    return EXIT_OK


def run_show(arguments: argparse.Namespace) -> int:
    number = arguments.id
    row = with_database(settings_of(arguments), lambda connection: aside.one(connection, number))
    if row is None:
        print(f"{number}: no message of this id was kept aside", file=sys.stderr)
        return EXIT_PROBLEMS
    if arguments.base64:
        print(base64.b64encode(row["head"]).decode())
        return EXIT_OK
    for column in ("id", "received_at", "topic", "reason", "detail", "length"):
        print(f"{column}: {shown(row[column])}")
    print(f"sha256: {row['sha256'].hex()}")
    print(f"first {len(row['head'])} bytes: {shown(row['head'].decode(errors='backslashreplace'))}")
    return EXIT_OK


def run_replay(arguments: argparse.Namespace) -> int:
    number, reason, pump, most, now = (
        *(arguments.id, arguments.reason, arguments.pump, arguments.most),
        datetime.now(UTC),
    )
    if reason is not None:
        asked = with_database(
            settings_of(arguments),
            lambda connection: aside.ask_replay_all(connection, reason, pump, most, actor(), now),
        )
        print(f"{asked} messages are to be read again")
        return EXIT_OK
    return _done(
        arguments, lambda connection: aside.ask_replay(connection, number, actor(), now), "is to be read again"
    )


def run_drop(arguments: argparse.Namespace) -> int:
    number, why, now = arguments.id, arguments.reason, datetime.now(UTC)
    return _done(arguments, lambda connection: aside.drop(connection, number, why, actor(), now), "is dropped")


def _done(arguments: argparse.Namespace, work: Callable[[asyncpg.Connection], Awaitable[bool]], what: str) -> int:
    number = arguments.id
    try:
        found = with_database(settings_of(arguments), work)
    except aside.AsideRefusedError as error:
        print(f"{number}: {error}", file=sys.stderr)
        return EXIT_PROBLEMS
    if not found:
        print(f"{number}: no message of this id was kept aside", file=sys.stderr)
        return EXIT_PROBLEMS
    print(f"{number} {what}")
    return EXIT_OK
