"""`pumpwatch token`: who may use the API, and as what. A token is printed once."""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from service.commands.arguments import days_up_to
from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.access import Scope
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres.accounts import NameTakenError, Role, create_token, revoke_token, tokens

_days = days_up_to(3660)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("token", help="make, list and revoke the tokens of the API")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a token and print it, this once")
    create.add_argument("--name", required=True, type=_name, help="whose it is; what the audit will say")
    create.add_argument("--role", required=True, choices=list(Role), type=Role, help=", ".join(Role))
    create.add_argument(
        "--scope",
        action="append",
        dest="scopes",
        choices=list(Scope),
        type=Scope,
        help="narrow it to this; may be repeated; without: all that the role may do",
    )
    create.add_argument("--site", action="append", dest="sites", help="this site's pumps alone; may be repeated")
    create.add_argument("--days", type=_days, help="until when it works; without: until it is revoked")
    create.set_defaults(run=run_create)
    listing = actions.add_parser("list", help="say which tokens there are")
    listing.set_defaults(run=run_list)
    revoke = actions.add_parser("revoke", help="end a token, from the next request on")
    revoke.add_argument("name", help="the name that it was made with")
    revoke.set_defaults(run=run_revoke)
    for action in (create, listing, revoke):
        add_database_url(action)


def _name(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > 100:
        raise argparse.ArgumentTypeError("must be 1 to 100 printable characters")
    return text


def run_create(arguments: argparse.Namespace) -> int:
    name, role = arguments.name, arguments.role
    narrowed: dict[str, Any] = {"scopes": arguments.scopes, "sites": arguments.sites}
    if arguments.days is not None:
        narrowed["expires_at"] = datetime.now(UTC) + timedelta(days=arguments.days)
    try:
        text = with_database(
            settings_of(arguments), lambda connection: create_token(connection, name, role, actor(), **narrowed)
        )
    except NameTakenError as error:
        print(error, file=sys.stderr)
        return EXIT_PROBLEMS
    print(text)
    print(f"{name} is {role}; this token is not shown again", file=sys.stderr)
    return EXIT_OK


def run_list(arguments: argparse.Namespace) -> int:
    rows = with_database(settings_of(arguments), tokens)
    header = ("NAME", "ROLE", "SCOPES", "SITES", "CREATED", "EXPIRES", "REVOKED")
    print(table(header, [_shown(row) for row in rows]))
    return EXIT_OK


def _shown(row: asyncpg.Record) -> tuple[object, ...]:
    narrowed = ("all" if row[name] is None else ", ".join(row[name]) for name in ("scopes", "sites"))
    return (row["name"], row["role"], *narrowed, row["created_at"], row["expires_at"], row["revoked_at"])


def run_revoke(arguments: argparse.Namespace) -> int:
    name = arguments.name
    if with_database(settings_of(arguments), lambda connection: revoke_token(connection, name, actor())):
        print(f"revoked {name}")
        return EXIT_OK
    print(f"{name}: no token in use has this name", file=sys.stderr)
    return EXIT_PROBLEMS
