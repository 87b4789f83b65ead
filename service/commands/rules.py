"""`pumpwatch rules`: look at rulebooks and overrides, and at what one would have found in a stream of messages."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from rich.console import Console
from rich.table import Table

from service.commands import overrides, rulebook
from service.core.backtest import Backtest, Finding, WireMessage, read_line
from service.core.registry import facts_of, parse_registry
from service.core.rulebook import DEFAULT_RULEBOOK, PumpFacts, Rulebook, parse_rulebook
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE

LINES_AT_ONCE: Final = 2_000


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rules = commands.add_parser(
        "rules", help="check, show and compare rulebooks; set overrides; try one on a stream"
    ).add_subparsers(required=True)
    rulebook.add_to(rules)
    overrides.add_to(rules)
    backtest = rules.add_parser("backtest", help="wire messages in, alerts out; no server needed")
    backtest.add_argument(
        "--from", dest="stream", required=True, metavar="FILE|-", help="NDJSON wire messages; -: standard input"
    )
    backtest.add_argument("--registry", type=Path, help="the pumps' CSV; pumps outside it are taken as unregistered")
    backtest.add_argument("--rulebook", type=Path, help="a rulebook; without it the defaults")
    backtest.add_argument("--json", action="store_true", help="print JSON instead of a table")
    backtest.set_defaults(run=_backtest)


def _backtest(arguments: argparse.Namespace) -> int:
    tried = DEFAULT_RULEBOOK if arguments.rulebook is None else _rulebook(arguments.rulebook)
    registered = [] if arguments.registry is None else _registered(arguments.registry)
    if isinstance(tried, int) or isinstance(registered, int):
        return tried if isinstance(tried, int) else EXIT_PROBLEMS
    backtest = Backtest(tried, registered)
    try:
        with _opened(arguments.stream) as stream:
            for messages in _messages(stream, arguments.stream):
                backtest.feed(messages)
    except OSError as error:
        print(f"{arguments.stream}: {error.strerror}", file=sys.stderr)
        return EXIT_USAGE
    except msgspec.DecodeError as error:
        print(error, file=sys.stderr)
        return EXIT_PROBLEMS
    findings = backtest.finish()
    if arguments.json:
        told = {
            "rulebook_version": tried.version,
            "readings": backtest.readings,
            "rejected": len(backtest.rejections),
            "alerts": findings,
        }
        print(msgspec.json.encode(told).decode())
    else:
        _print_table(findings, backtest)
    return EXIT_OK


def _rulebook(path: Path) -> Rulebook | int:
    """The rulebook in a file, or the exit code after saying what is wrong."""
    try:
        found = parse_rulebook(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        print(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}", file=sys.stderr)
        return EXIT_USAGE
    if isinstance(found, Rulebook):
        return found.at(int(datetime.now(UTC).timestamp() * 1000))
    for problem in found:
        print(f"{path}:{problem.line}: {problem.message}", file=sys.stderr)
    return EXIT_PROBLEMS


def _registered(path: Path) -> list[tuple[str, PumpFacts]] | int:
    try:
        entries, problems = parse_registry(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        print(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}", file=sys.stderr)
        return EXIT_USAGE
    for problem in problems:
        print(f"{path}:{problem.line}: {problem.message}", file=sys.stderr)
    if problems:
        return EXIT_PROBLEMS
    return [(entry.pump_id, facts_of(entry)) for entry in entries]


@contextmanager
def _opened(stream: str) -> Iterator[BinaryIO]:
    if stream == "-":
        yield sys.stdin.buffer
    else:
        with Path(stream).open("rb") as file:
            yield file


def _messages(stream: BinaryIO, name: str) -> Iterator[list[WireMessage]]:
    batch: list[WireMessage] = []
    for number, line in enumerate(stream, start=1):
        try:
            batch.append(read_line(line))
        except (msgspec.DecodeError, UnicodeError) as error:
            raise msgspec.DecodeError(f"{name}:{number}: {error}") from None
        if len(batch) == LINES_AT_ONCE:
            yield batch
            batch = []
    yield batch


def _print_table(findings: list[Finding], backtest: Backtest) -> None:
    table = Table("pump", "condition", "priority", "began", "detected", "ended")
    for finding in findings:
        ended = "still on" if finding.ended_ms is None else _utc(finding.ended_ms)
        table.add_row(
            finding.pump_id,
            finding.condition,
            finding.priority,
            _utc(finding.began_ms),
            _utc(finding.detected_ms),
            ended,
        )
    Console().print(table)
    rejected = len(backtest.rejections)
    print(f"{len(findings)} alerts from {backtest.readings} readings and events; {rejected} messages rejected")


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
