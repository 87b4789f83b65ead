"""`pumpwatch account`: who may log in, as what, and for which sites."""

import argparse
import asyncio
import getpass
import sys
from datetime import UTC, datetime

import asyncpg

from service.api.passwords import Passwords, password_problem
from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres import people
from service.postgres.accounts import NameTakenError, Role


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("account", help="make accounts of people, and let them in")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make an account; it logs in by links until it has a password")
    add.add_argument("name", help="what history and audit will call them; never used again for somebody else")
    add.add_argument("--role", required=True, choices=list(Role), type=Role, help=", ".join(Role))
    add.add_argument(
        "--site", action="append", dest="sites", metavar="SITE", help="see this site's pumps alone; may be repeated"
    )
    add.set_defaults(run=run_add)
    listing = actions.add_parser("list", help="say which accounts there are")
    listing.set_defaults(run=run_list)
    link = actions.add_parser("link", help="print the path of a link that logs in once, within a quarter of an hour")
    link.add_argument("name")
    link.set_defaults(run=run_link)
    password = actions.add_parser("password", help="set a password, read from the terminal or from standard input")
    password.add_argument("name")
    password.set_defaults(run=run_password)
    for action in (add, listing, link, password):
        add_database_url(action)


def run_add(arguments: argparse.Namespace) -> int:
    async def add(connection: asyncpg.Connection) -> None:
        await people.add(connection, arguments.name, arguments.role, actor(), sites=arguments.sites)

    try:
        with_database(settings_of(arguments), add)
    except NameTakenError as error:
        return _problem(str(error))
    print(f"{arguments.name} is {arguments.role}; `pumpwatch account link {arguments.name}` lets them in")
    return EXIT_OK


def run_list(arguments: argparse.Namespace) -> int:
    rows = with_database(settings_of(arguments), people.accounts)
    header = ("NAME", "ROLE", "SITES", "PASSWORD", "LAST SEEN", "DISABLED")
    shown = [
        (
            row["name"],
            row["role"],
            "all" if row["sites"] is None else ", ".join(row["sites"]),
            "yes" if row["has_password"] else "no",
            row["last_seen_at"],
            row["disabled_at"],
        )
        for row in rows
    ]
    print(table(header, shown))
    return EXIT_OK


def run_link(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    now = datetime.now(UTC)
    link = with_database(settings, lambda connection: people.make_link(connection, arguments.name, actor(), now))
    if link is None:
        return _problem(f"{arguments.name}: there is no such account, or it is disabled")
    print(f"{settings.public_url or f'http://{settings.api_host}:{settings.api_port}'}/login/{link}")
    return EXIT_OK


def run_password(arguments: argparse.Namespace) -> int:
    given = getpass.getpass("New password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if problem := password_problem(given, arguments.name):
        return _problem(f"the password {problem}")
    hashed = asyncio.run(Passwords().hashed(given))
    if not with_database(
        settings_of(arguments), lambda connection: people.set_password(connection, arguments.name, hashed, actor())
    ):
        return _problem(f"{arguments.name}: there is no such account")
    print(f"set; every session of {arguments.name} has ended")
    return EXIT_OK


def _problem(text: str) -> int:
    print(text, file=sys.stderr)
    return EXIT_PROBLEMS
