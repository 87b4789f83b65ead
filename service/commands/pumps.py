"""`pumpwatch pumps`: the registry from a CSV file, all or nothing, and back into one."""

import argparse
import csv
import sys
import zoneinfo
from pathlib import Path

import asyncpg

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.core.registry import RegistryEntry, csv_lines, parse_registry
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres.accounts import audit
from service.postgres.registry import Upserted, registered, upsert


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("pumps", help="read the registry from a CSV file, or write it")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    importing = actions.add_parser("import", help="enter and change pumps as the file says: all of it, or nothing")
    importing.add_argument("file", type=Path, metavar="FILE.csv", help="its columns are in docs/interface.md")
    importing.add_argument("--dry-run", action="store_true", help="only say what it would do")
    importing.set_defaults(run=run_import)
    exporting = actions.add_parser("export", help="print the registry as such a file")
    exporting.set_defaults(run=run_export)
    for action in (importing, exporting):
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
    written = with_database(
        settings, lambda connection: _write(connection, entries, settings.shard, keep=not arguments.dry_run)
    )
    created, changed = len(written.created), len(written.changed)
    told = f"{created} new, {changed} changed, {len(entries) - created - changed} as they were"
    print(f"would be: {told}" if arguments.dry_run else told)
    return EXIT_OK


async def _write(connection: asyncpg.Connection, entries: list[RegistryEntry], shard: int, *, keep: bool) -> Upserted:
    """Write the entries; without `keep` take it back, having seen what it did."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        written = await upsert(connection, entries, shard)
        detail = {"created": list(written.created), "changed": written.changed}
        await audit(connection, actor(), "pumps_imported", f"{len(entries)} pumps", detail)
    except BaseException:
        await transaction.rollback()
        raise
    await (transaction.commit() if keep else transaction.rollback())
    return written


def run_export(arguments: argparse.Namespace) -> int:
    entries = with_database(settings_of(arguments), registered)
    csv.writer(sys.stdout, lineterminator="\n").writerows(csv_lines(entries))
    return EXIT_OK
