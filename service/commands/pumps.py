"""`pumpwatch pumps`: the registry from a CSV file, all or nothing, and back into one."""

import argparse
import csv
import sys
import zoneinfo
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.registry import RegistryEntry, csv_lines, parse_registry
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres import imports
from service.postgres.registry import registered

NEWEST: Final = (1 << 63) - 1


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("pumps", help="read the registry from a CSV file, or write it")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    importing = actions.add_parser("import", help="enter and change pumps as the file says: all of it, or nothing")
    importing.add_argument("file", type=Path, metavar="FILE.csv", help="its columns are in docs/interface.md")
    importing.add_argument("--dry-run", action="store_true", help="only say what it would do")
    importing.set_defaults(run=run_import)
    exporting = actions.add_parser("export", help="print the registry as such a file")
    exporting.set_defaults(run=run_export)
    listing = actions.add_parser("imports", help="what was imported, the newest first")
    listing.add_argument("--limit", type=int, default=20, help="how many; default 20")
    listing.set_defaults(run=run_imports)
    undoing = actions.add_parser(
        "undo", help="make the registry say what it said before an import: all of it, or nothing"
    )
    undoing.add_argument("import_id", type=int, metavar="IMPORT", help="its number, as `pumps imports` shows it")
    undoing.set_defaults(run=run_undo)
    for action in (importing, exporting, listing, undoing):
        add_database_url(action)


def run_import(arguments: argparse.Namespace) -> int:
    file: Path = arguments.file
    try:
        raw = file.read_bytes()
    except OSError as error:
        print(f"{file}: {error.strerror}", file=sys.stderr)
        return EXIT_USAGE
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        print(f"{file}:{line}: not UTF-8", file=sys.stderr)
        return EXIT_PROBLEMS
    entries, problems = parse_registry(text, zoneinfo.available_timezones())
    if problems:
        print("\n".join(f"{file}:{problem.line}: {problem.message}" for problem in problems), file=sys.stderr)
        return EXIT_PROBLEMS
    settings = settings_of(arguments)
    made = with_database(
        settings,
        lambda connection: _write(connection, entries, file.name, settings.shard, keep=not arguments.dry_run),
    )
    told = f"{made.created} new, {made.changed} changed, {made.unchanged} as they were"
    print(f"would be: {told}" if arguments.dry_run else told)
    return EXIT_OK


async def _write(
    connection: asyncpg.Connection, entries: list[RegistryEntry], name: str, shard: int, *, keep: bool
) -> imports.Imported:
    """Write the entries; without `keep` take it back, having seen what it did."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        made = await imports.import_entries(connection, entries, actor(), name, datetime.now(UTC), shard)
    except BaseException:
        await transaction.rollback()
        raise
    await (transaction.commit() if keep else transaction.rollback())
    return made


def run_imports(arguments: argparse.Namespace) -> int:
    limit = arguments.limit
    rows = with_database(
        settings_of(arguments), lambda connection: imports.imports(connection, before=NEWEST, limit=limit)
    )
    columns = ("id", "made_at", "made_by", "name", "created", "changed", "unchanged", "undone_at", "undone_by")
    header = ("ID", "MADE", "BY", "FILE", "NEW", "CHANGED", "AS THEY WERE", "UNDONE", "BY")
    print(table(header, [[row[column] for column in columns] for row in rows]))
    return EXIT_OK


def run_undo(arguments: argparse.Namespace) -> int:
    number, settings = arguments.import_id, settings_of(arguments)
    try:
        found = with_database(
            settings, lambda connection: imports.undo(connection, number, actor(), datetime.now(UTC), settings.shard)
        )
    except imports.UndoRefusedError as error:
        print(f"import {number}: {error}", file=sys.stderr)
        return EXIT_PROBLEMS
    if not found:
        print(f"{number}: there is no import of this number", file=sys.stderr)
        return EXIT_PROBLEMS
    print(f"import {number} is undone")
    return EXIT_OK


def run_export(arguments: argparse.Namespace) -> int:
    entries = with_database(settings_of(arguments), registered)
    csv.writer(sys.stdout, lineterminator="\n").writerows(csv_lines(entries))
    return EXIT_OK
