"""`pumpwatch rules check|show|diff|list|shadow`: what a rulebook says, where each value is from, what was in force."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import asyncpg

from service.commands.database import add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.doubts import check_rulebook
from service.core.explanation import Explained, differences, explained
from service.core.override import Scope, Value, Whose, shown_time, shown_value
from service.core.reading import DrugClass, boot_of, seq_of
from service.core.registry import RegistryEntry, parse_registry
from service.core.rulebook import DEFAULT_RULEBOOK, Rulebook, parse_kept, parse_rulebook
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres import overrides, rulebooks, shadow
from service.postgres.queries import pump


class UnreadableError(Exception):
    """A file cannot be used; the text is one line a reason. `code` is the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Shown(NamedTuple):
    """Whose rules, by which rulebook, and since when."""

    rulebook: Rulebook
    whose: Whose
    since: str


def add_to(rules: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = rules.add_parser("check", help="say what is wrong with a rulebook, and what is odd, as file:line: what")
    check.add_argument("rulebook", type=Path)
    check.add_argument("--registry", type=Path, help="the pumps' CSV: sites and pumps that it lacks are pointed at")
    check.add_argument("--strict", action="store_true", help="what is odd is a problem, too")
    check.set_defaults(run=run_check)
    show = rules.add_parser("show", help="every limit of a pump and where it comes from")
    show.add_argument("pump", help="its id; with --registry or --rulebook no server is needed")
    show.add_argument("--rulebook", type=Path, help="a file, instead of what is in force")
    show.add_argument("--registry", type=Path, help="the pumps' CSV, instead of the database")
    show.add_argument("--changed", action="store_true", help="only what is not the default")
    show.set_defaults(run=run_show)
    diff = rules.add_parser("diff", help="limit by limit, what differs between two rulebooks")
    for name in ("before", "after"):
        diff.add_argument(name, help="a file, a version of `rules list`, or `default`")
    diff.set_defaults(run=run_diff)
    listing = rules.add_parser("list", help="which rulebooks were in force, the newest first")
    listing.add_argument("--limit", type=int, default=20, help="how many; default 20")
    listing.set_defaults(run=run_list)
    shadowed = rules.add_parser("shadow", help="what conditions in shadow would have raised, the newest first")
    shadowed.add_argument("--pump", help="only of this one")
    shadowed.add_argument("--condition", help="only this one")
    shadowed.add_argument("--limit", type=int, default=50, help="how many; default 50")
    shadowed.set_defaults(run=run_shadow)
    for action in (check, show, diff, listing, shadowed):
        add_database_url(action)


def run_check(arguments: argparse.Namespace) -> int:
    file: Path = arguments.rulebook
    sites: set[str] | None = None
    pump_ids: set[str] | None = None
    try:
        text = _text(file)
        if arguments.registry is not None:
            entries = _registry(arguments.registry)
            sites, pump_ids = {entry.site for entry in entries}, {entry.pump_id for entry in entries}
    except UnreadableError as error:
        print(error, file=sys.stderr)
        return error.code
    parsed = parse_rulebook(text)
    if arguments.database_url is not None and isinstance(parsed, Rulebook):
        named = sorted(parsed.names(Scope.PUMP))
        sites, pump_ids = with_database(settings_of(arguments), lambda c: overrides.known_names(c, named))
    found = check_rulebook(text, _now_ms(), sites, pump_ids)
    for problem in found:
        print(f"{file}:{problem.line}: {'warning: ' if problem.warning else ''}{problem.message}", file=sys.stderr)
    if not isinstance(parsed, Rulebook):
        return EXIT_PROBLEMS
    print(f"{file}: version {parsed.at(_now_ms()).version}, {_counted(len(found))}")
    return EXIT_PROBLEMS if found and arguments.strict else EXIT_OK


def run_show(arguments: argparse.Namespace) -> int:
    try:
        found = _shown_of(arguments)
    except UnreadableError as error:
        print(error, file=sys.stderr)
        return error.code
    whose = found.whose
    print(f"{arguments.pump}: {whose.drug_class}, site {whose.site or '-'}; {found.since}")
    rows = [
        _row(each) for each in explained(found.rulebook, whose) if each.override is not None or not arguments.changed
    ]
    print(table(("LIMIT", "VALUE", "UNIT", "DEFAULT", "FROM", "UNTIL", "AUTHOR", "REASON"), rows))
    return EXIT_OK


def run_diff(arguments: argparse.Namespace) -> int:
    try:
        before, after = (_named(name, arguments) for name in (arguments.before, arguments.after))
    except UnreadableError as error:
        print(error, file=sys.stderr)
        return error.code
    rows = [(each.path, _value(each.before), _value(each.after), each.unit) for each in differences(before, after)]
    print(table(("LIMIT", "BEFORE", "AFTER", "UNIT"), rows) if rows else "they say the same")
    return EXIT_OK


def run_list(arguments: argparse.Namespace) -> int:
    rows = with_database(settings_of(arguments), lambda connection: rulebooks.history(connection, arguments.limit))
    print(table(("VERSION", "SINCE", "UNTIL"), [(row["version"], row["since"], row["until"]) for row in rows]))
    return EXIT_OK


def run_shadow(arguments: argparse.Namespace) -> int:
    rows = with_database(
        settings_of(arguments), lambda c: shadow.newest(c, arguments.condition, arguments.pump, arguments.limit)
    )
    columns = ("pump_id", "condition", "priority", "began_at", "detected_at", "ended_at", "rulebook_version")
    header = ("PUMP", "CONDITION", "PRIORITY", "BEGAN", "DETECTED", "ENDED", "RULEBOOK")
    print(table(header, [[row[column] for column in columns] for row in rows]))
    return EXIT_OK


def _shown_of(arguments: argparse.Namespace) -> Shown:
    if arguments.registry is None and arguments.rulebook is None:
        found = with_database(settings_of(arguments), lambda connection: _in_force(connection, arguments.pump))
        if found is None:
            raise UnreadableError(f"{arguments.pump}: the registry has no such pump", EXIT_PROBLEMS)
        return found
    rulebook = DEFAULT_RULEBOOK if arguments.rulebook is None else _of_file(arguments.rulebook)
    since = f"rulebook {rulebook.version}"
    if arguments.registry is None:
        return Shown(rulebook, Whose(pump_id=arguments.pump), f"{since}, without a registry")
    entries = [entry for entry in _registry(arguments.registry) if entry.pump_id == arguments.pump]
    if not entries:
        raise UnreadableError(f"{arguments.registry}: {arguments.pump} is not in it", EXIT_PROBLEMS)
    return Shown(rulebook, Whose(entries[0].drug_class, entries[0].site, arguments.pump), since)


async def _in_force(connection: asyncpg.Connection, pump_id: str) -> Shown | None:
    row = await pump(connection, pump_id)
    if row is None:
        return None
    rulebook = parse_kept(await rulebooks.newest_text(connection) or "")[1].at(_now_ms())
    terms = (await rulebooks.terms_of(connection, [row["pump"]], {})).get(row["pump"], [])
    since = "not judged yet"
    if terms:
        at = terms[-1].after
        where = "from its beginning on" if at < 0 else f"after boot {boot_of(at)}, seq {seq_of(at)}"
        since = f"judged so {where} (rulebook {terms[-1].rulebook_version})"
    return Shown(rulebook, Whose(DrugClass(row["drug_class"]), row["site"] or "", pump_id), since)


def _row(each: Explained) -> tuple[object, ...]:
    name = f"{each.section}.{each.key}"
    own = each.override
    default = "" if own is None else _value(each.default)
    until = "" if own is None or own.expires_ms is None else shown_time(own.expires_ms)
    author, reason = ("", "") if own is None else (own.author, own.reason)
    return name, _value(each.value), each.unit, default, each.source, until, author, reason


def _value(value: Value | None) -> str:
    return "-" if value is None else shown_value(value).replace('"', "")


def _named(name: str, arguments: argparse.Namespace) -> Rulebook:
    if name == "default":
        return DEFAULT_RULEBOOK
    if Path(name).exists() or "." in name:
        return _of_file(Path(name))
    text = with_database(settings_of(arguments), lambda connection: rulebooks.text_of(connection, name))
    if text is None:
        raise UnreadableError(f"{name}: neither a file nor a version that was ever in force", EXIT_PROBLEMS)
    return parse_kept(text)[1]


def _of_file(file: Path) -> Rulebook:
    found = parse_rulebook(_text(file))
    if isinstance(found, Rulebook):
        return found.at(_now_ms())
    raise UnreadableError("\n".join(f"{file}:{each.line}: {each.message}" for each in found), EXIT_PROBLEMS)


def _registry(file: Path) -> list[RegistryEntry]:
    entries, problems = parse_registry(_text(file))
    if problems:
        raise UnreadableError("\n".join(f"{file}:{each.line}: {each.message}" for each in problems), EXIT_PROBLEMS)
    return entries


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableError(f"{file}: {error.strerror}", EXIT_USAGE) from None
    except UnicodeDecodeError:
        raise UnreadableError(f"{file}: not UTF-8", EXIT_USAGE) from None


def _counted(warnings: int) -> str:
    return {0: "no problems", 1: "1 warning"}.get(warnings, f"{warnings} warnings")


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
