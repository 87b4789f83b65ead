"""`pumpwatch ledger`: what pumps sent, what of it is stored, and where the rest is."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from service.commands.database import add_database_url, settings_of, with_database
from service.commands.output import table
from service.commands.span import add_span, wrong
from service.core.completeness import Where
from service.core.reading import boot_of, seq_of
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres.books import Ledger, ledger
from service.postgres.queries import key_of, keys_after

PUMPS_AT_ONCE = 500
_COUNTED = ("sent", "stored", *Where, "doubled", "duplicates", "reboots")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "ledger",
        help="what pumps sent, what of it is stored, and where the rest is",
        epilog="Exit code 1: something that was receipted is not there, or is there twice.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("pump_id", nargs="?", metavar="PUMP", help="one pump, with its boots and all that is missing")
    which.add_argument("--all", action="store_true", help="a line each for all pumps, and their sum")
    parser.add_argument("--json", action="store_true", help="print an object a pump and line")
    add_span(parser)
    add_database_url(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if what := wrong(arguments):
        print(what, file=sys.stderr)
        return EXIT_USAGE
    settings = settings_of(arguments)
    return with_database(settings, lambda connection: (_all if arguments.all else _one)(connection, arguments))


async def _one(connection: asyncpg.Connection, arguments: argparse.Namespace) -> int:
    key = await key_of(connection, arguments.pump_id)
    if key is None:
        print(f"{arguments.pump_id}: no such pump", file=sys.stderr)
        return EXIT_PROBLEMS
    found = await ledger(connection, key, arguments.pump_id, since=arguments.since, until=arguments.until)
    counts = counted(found)
    if arguments.json:
        _print_json(arguments.pump_id, found, counts)
        return _code(counts)
    print(f"{arguments.pump_id}: {_in_words(counts)}")
    if found.aside:
        print(f"{found.aside} messages could not be taken: `pumpwatch quarantine list`")
    boots = [[b.boot, seq_of(b.first), seq_of(b.last), b.stored, b.first_at, b.last_at] for b in found.books.boots]
    print("\n" + table(["BOOT", "FIRST", "LAST", "STORED", "FROM", "TO"], boots))
    missing = [[boot_of(m.first), seq_of(m.first), seq_of(m.last), m.items, m.where] for m in found.books.missing]
    if missing:
        print("\n" + table(["MISSING-OF-BOOT", "FIRST", "LAST", "ITEMS", "WHERE"], missing))
    return _code(counts)


async def _all(connection: asyncpg.Connection, arguments: argparse.Namespace) -> int:
    total: Counter[str] = Counter()
    after = ""
    lines: list[Sequence[object]] = []
    while rows := await keys_after(connection, after, PUMPS_AT_ONCE):
        for pump_id, key in rows:
            found = await ledger(connection, key, pump_id, since=arguments.since, until=arguments.until)
            counts = counted(found)
            total.update(counts)
            if arguments.json:
                _print_json(pump_id, found, counts)
            elif counts["sent"]:
                lines.append([pump_id, *(counts[name] for name in _COUNTED), _share(counts)])
        after = rows[-1][0]
    if not arguments.json:
        lines.append(["all", *(total[name] for name in _COUNTED), _share(total)])
        print(table(["PUMP", *(name.upper() for name in _COUNTED), "COMPLETE"], lines))
    return _code(total)


def counted(found: Ledger) -> Counter[str]:
    books = found.books
    return Counter(
        sent=books.sent,
        stored=books.stored,
        doubled=found.doubled,
        duplicates=found.duplicates,
        reboots=books.reboots,
        **{str(where): books.count(where) for where in Where},
    )


def _print_json(pump_id: str, found: Ledger, counts: Counter[str]) -> None:
    missing = [
        {"boot": boot_of(m.first), "first_seq": seq_of(m.first), "last_seq": seq_of(m.last), "where": m.where}
        for m in found.books.missing
    ]
    shown: dict[str, Any] = {"pump_id": pump_id, **{name: counts[name] for name in _COUNTED}}
    shown |= {"completeness": found.books.completeness, "missing": missing}
    print(msgspec.json.encode(shown).decode())


def _in_words(counts: Counter[str]) -> str:
    absent = ", ".join(f"{counts[where]:,} {where}" for where in Where)
    again = f"{counts['duplicates']:,} came again, {counts['doubled']:,} are there twice"
    said = f"{counts['sent']:,} sent = {counts['stored']:,} stored + {absent}"
    return f"{said}: {_share(counts)} complete; {again}; {counts['reboots']:,} reboots"


def _share(counts: Counter[str]) -> str:
    if not counts["sent"]:
        return "-"
    # Never rounded up to all of it.
    return f"{int(counts['stored'] / counts['sent'] * 1e6) / 1e4:.4f} %"


def _code(counts: Counter[str]) -> int:
    return EXIT_PROBLEMS if counts[Where.UNACCOUNTED] or counts["doubled"] else EXIT_OK
