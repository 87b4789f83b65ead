"""`pumpwatch quarantine`: the messages that could not be understood, and why."""

import argparse
import base64
import sys

from service.commands.database import add_database_url, settings_of, with_database
from service.commands.output import shown, table
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres.queries import quarantine, quarantined

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
    for action in (listing, show):
        add_database_url(action)


def run_list(arguments: argparse.Namespace) -> int:
    reason, limit = arguments.reason, arguments.limit
    rows = with_database(
        settings_of(arguments),
        lambda connection: quarantine(connection, before=NEWEST, reason=reason, since=None, limit=limit),
    )
    columns = ("id", "received_at", "reason", "topic", "length", "detail")
    header = ("ID", "RECEIVED", "REASON", "TOPIC", "BYTES", "DETAIL")
    print(table(header, [[row[column] for column in columns] for row in rows]))
    return EXIT_OK


def run_show(arguments: argparse.Namespace) -> int:
    number = arguments.id
    row = with_database(settings_of(arguments), lambda connection: quarantined(connection, number))
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
