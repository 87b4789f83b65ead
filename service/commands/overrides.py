"""`pumpwatch rules override`: one value for a site, a pump or a drug class, with who answers for it and until when."""

import argparse
import sys
import tomllib
from datetime import UTC, datetime
from typing import Any

import asyncpg

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.override import Override, Scope, shown_value
from service.core.rulebook import parse_kept
from service.core.rulebook_check import read_one
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres import overrides, rulebooks


def add_to(rules: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    actions = rules.add_parser("override", help="set, list and end values that stand over the rulebook file")
    parsers = actions.add_subparsers(required=True, metavar="ACTION")
    setting = parsers.add_parser("set", help="in force within seconds; it ends an earlier one of the same value")
    whose = setting.add_mutually_exclusive_group(required=True)
    whose.add_argument("--pump", metavar="ID")
    whose.add_argument("--site", metavar="NAME")
    whose.add_argument("--drug-class", metavar="CLASS")
    setting.add_argument(
        "key", help="such as stall.missed_ul, battery_low.enabled, over_delivery.shadow, stall.priority"
    )
    setting.add_argument("value", help="a number, true or false, or priorities as medium,high")
    setting.add_argument("--reason", default="", help="why; needed for a pump and a site")
    setting.add_argument("--author", default="", help="who answers for it; default: the account that runs this")
    setting.add_argument("--expires", default="", help="a date (when it is over) or a time, UTC; such as 2026-12-31")
    setting.set_defaults(run=run_set)
    listing = parsers.add_parser("list", help="those in force, the newest first")
    listing.add_argument("--all", action="store_true", help="those that are over, too")
    listing.set_defaults(run=run_list)
    ending = parsers.add_parser("end", help="no longer; what was decided by it stays")
    ending.add_argument("id", type=int)
    ending.set_defaults(run=run_end)
    for action in (setting, listing, ending):
        add_database_url(action)


def run_set(arguments: argparse.Namespace) -> int:
    scopes = {Scope.PUMP: arguments.pump, Scope.SITE: arguments.site, Scope.DRUG_CLASS: arguments.drug_class}
    scope, name = next((scope, name) for scope, name in scopes.items() if name is not None)
    said: dict[str, Any] = {"value": _typed(arguments.value), "author": arguments.author or actor()}
    if arguments.reason:
        said["reason"] = arguments.reason
    if arguments.expires:
        said["expires"] = _typed(arguments.expires)

    async def work(connection: asyncpg.Connection) -> int:
        over = parse_kept(await rulebooks.newest_text(connection) or "")[0].overrides
        over = (*over, *await overrides.open_overrides(connection))
        found = read_one(scope, name, arguments.key, said, over)
        if not isinstance(found, Override):
            print("\n".join(found), file=sys.stderr)
            return EXIT_PROBLEMS
        now = datetime.now(UTC)
        if not found.in_force(int(now.timestamp() * 1000)):
            print(f"{found.path}: expires in the past", file=sys.stderr)
            return EXIT_PROBLEMS
        sites, pump_ids = await overrides.known_names(connection, [name])
        if (scope is Scope.SITE and name not in sites) or (scope is Scope.PUMP and name not in pump_ids):
            print(f"warning: the registry knows no {scope} {name}", file=sys.stderr)
        number = await overrides.set_override(connection, found, actor(), now)
        print(f"{number}: {found.path} = {shown_value(found.value)}")
        return EXIT_OK

    return with_database(settings_of(arguments), work)


def run_list(arguments: argparse.Namespace) -> int:
    rows = with_database(settings_of(arguments), lambda c: overrides.listed(c, datetime.now(UTC), ended=arguments.all))
    header = ("ID", "WHOSE", "LIMIT", "VALUE", "REASON", "AUTHOR", "MADE", "EXPIRES", "ENDED")
    columns = ("reason", "author", "made_at", "expires_at", "ended_at")
    print(
        table(
            header,
            [
                (
                    row["id"],
                    f"{row['scope']} {row['name']}",
                    f"{row['section']}.{row['key']}",
                    row["value"],
                    *(row[column] for column in columns),
                )
                for row in rows
            ],
        )
    )
    return EXIT_OK


def run_end(arguments: argparse.Namespace) -> int:
    ended = with_database(
        settings_of(arguments), lambda c: overrides.end_override(c, arguments.id, actor(), datetime.now(UTC))
    )
    if not ended:
        print(f"{arguments.id}: no open override of this number", file=sys.stderr)
        return EXIT_PROBLEMS
    return EXIT_OK


def _typed(text: str) -> object:
    """As TOML reads it; else words, one a step."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        words = [word.strip() for word in text.split(",")]
        return words[0] if len(words) == 1 else words
