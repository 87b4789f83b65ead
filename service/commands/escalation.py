"""`pumpwatch escalation`: who is told of which alerts, in which order; and who would be told now."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from service.commands.arguments import instant
from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.change import Priority
from service.core.preview import Preview, Supposed, preview
from service.core.reading import DrugClass
from service.core.roster import FORMS, RULES, Problems, document_problems, parse, used_by
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres import notification_rows, rosters


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("escalation", help="contacts, rotas, policies and rules: who is told of which alerts")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print all of a kind, or one as JSON")
    show.set_defaults(run=run_show)
    put = actions.add_parser("put", help="create or replace one, from a file of JSON")
    put.set_defaults(run=run_put)
    delete = actions.add_parser("delete", help="remove one that nothing names")
    delete.set_defaults(run=run_delete)
    for action in (show, put, delete):
        action.add_argument("kind", choices=tuple(FORMS))
        action.add_argument("name", nargs="?", help="none for the rules")
    put.add_argument("--file", type=Path, required=True, help="docs/interface.md says in which form")
    for action in (put, delete):
        action.add_argument(
            "--if-version", type=int, metavar="N", help="only if that is the stored one; 0: if there is none"
        )
    would = actions.add_parser("preview", help="say who would be told of an alert, and when")
    would.add_argument("--site")
    would.add_argument("--drug-class", choices=tuple(DrugClass), default=DrugClass.UNKNOWN)
    would.add_argument("--priority", choices=tuple(Priority), default=Priority.HIGH)
    would.add_argument("--simulated", action="store_true")
    would.add_argument("--at", type=instant, metavar="TIME", help="as if it were raised then: 2026-11-22T20:00:00Z")
    would.set_defaults(run=run_preview)
    for action in (show, put, delete, would):
        add_database_url(action)


def run_show(arguments: argparse.Namespace) -> int:
    name = RULES if arguments.kind == RULES else arguments.name

    async def ask(connection: asyncpg.Connection) -> list[asyncpg.Record]:
        return await rosters.kept(connection, arguments.kind, name)

    rows = with_database(settings_of(arguments), ask)
    if name is not None:
        if not rows:
            return _failed(f"there is no {arguments.kind} {name}")
        print(msgspec.json.format(rows[0]["document"]))
        return EXIT_OK
    header = ("NAME", "VERSION", "CHANGED", "BY")
    columns = ("name", "version", "changed_at", "changed_by")
    print(table(header, [[row[column] for column in columns] for row in rows]))
    return EXIT_OK


def run_put(arguments: argparse.Namespace) -> int:
    kind, name = arguments.kind, RULES if arguments.kind == RULES else arguments.name
    if name is None:
        return _failed(f"which {kind}? Give its name", EXIT_USAGE)
    try:
        given: Any = msgspec.json.decode(arguments.file.read_bytes())
    except msgspec.DecodeError as error:
        return _failed(f"{arguments.file}: not JSON: {error}", EXIT_USAGE)
    document, problems = parse(kind, {"name": name, **given} if kind != RULES and isinstance(given, dict) else given)
    if document is None:
        return _refused(problems)

    async def put(connection: asyncpg.Connection) -> tuple[Problems, int]:
        async with connection.transaction():
            await rosters.lock(connection)
            if stale := await _stale(connection, arguments, name):
                return [("version", stale)], 0
            roster = await rosters.load(connection, {str(getattr(document, "time_zone", "UTC"))})
            wrong = document_problems(name, document, roster, *await rosters.names(connection))
            if wrong:
                return wrong, 0
            return [], await rosters.put(connection, kind, name, document, actor(), datetime.now(UTC))

    problems, version = with_database(settings_of(arguments), put)
    if problems:
        return _refused(problems, EXIT_PROBLEMS if problems[0][0] == "version" else EXIT_USAGE)
    print(f"{kind} {name} is version {version}" if kind != RULES else f"the rules are version {version}")
    return EXIT_OK


def run_delete(arguments: argparse.Namespace) -> int:
    kind, name = arguments.kind, arguments.name
    if name is None or kind == RULES:
        return _failed("rules are replaced by others, and everything else is deleted by its name", EXIT_USAGE)

    async def delete(connection: asyncpg.Connection) -> str:
        async with connection.transaction():
            await rosters.lock(connection)
            if not await rosters.kept(connection, kind, name):
                return f"there is no {kind} {name}"
            if stale := await _stale(connection, arguments, name):
                return stale
            if users := used_by(kind, name, await rosters.load(connection)):
                return f"{kind} {name} is named by {', '.join(users)}"
            await rosters.put(connection, kind, name, None, actor(), datetime.now(UTC))
        return ""

    why = with_database(settings_of(arguments), delete)
    if why:
        return _failed(why)
    print(f"deleted {kind} {name}")
    return EXIT_OK


def run_preview(arguments: argparse.Namespace) -> int:
    async def ask(connection: asyncpg.Connection) -> Preview:
        zone = await rosters.zone_of_site(connection, arguments.site)
        supposed = Supposed(
            site=arguments.site,
            drug_class=DrugClass(arguments.drug_class),
            priority=Priority(arguments.priority),
            simulated=arguments.simulated,
            time_zone=zone,
        )
        roster = await rosters.load(connection, {zone})
        return preview(supposed, roster, await notification_rows.routes(connection), arguments.at or datetime.now(UTC))

    found = with_database(settings_of(arguments), ask)
    print(f"policy {found.policy} ({found.because})")
    if found.quiet_until is not None:
        print(f"quiet until {found.quiet_until.astimezone(UTC).isoformat()}")
    rows = [
        (call.at, call.what, " ".join(call.targets), ", ".join(call.endpoints) or "nobody: passed over")
        for call in found.calls
    ]
    print(table(("AT", "WHAT", "TARGETS", "ENDPOINTS"), rows))
    return EXIT_OK


async def _stale(connection: asyncpg.Connection, arguments: argparse.Namespace, name: str) -> str:
    """Why it is not the version that was asked for; empty if it is, or any will do."""
    rows = await rosters.kept(connection, arguments.kind, name)
    version = rows[0]["version"] if rows else 0
    if arguments.if_version in {None, version}:
        return ""
    return f"the stored one is {version}, not {arguments.if_version}: somebody else has changed it; look at it again"


def _refused(problems: Problems, code: int = EXIT_USAGE) -> int:
    return _failed("\n".join(f"{field}: {what}" for field, what in problems), code)


def _failed(why: str, code: int = EXIT_PROBLEMS) -> int:
    print(why, file=sys.stderr)
    return code
