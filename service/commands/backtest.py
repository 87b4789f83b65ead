"""`pumpwatch rules backtest`: what would a rulebook have found in a stream of wire messages, or in what is stored?"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

import asyncpg
import msgspec
from rich.console import Console
from rich.table import Table

from service.commands.database import CONNECT_WITHIN_S, add_database_url, settings_of
from service.core.backtest import Backtest, Finding, WireMessage, read_line
from service.core.comparison import Compared, compare
from service.core.registry import facts_of, parse_registry
from service.core.rulebook import DEFAULT_RULEBOOK, PumpFacts, Rulebook, parse_rulebook
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres import history

LINES_AT_ONCE: Final = 2_000
HOURS_A_YEAR: Final = 8766.0


def add_to(rules: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = rules.add_parser("backtest", help="what a rulebook would have found; nobody is told")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--from", dest="stream", metavar="FILE|-", help="NDJSON wire messages; -: standard input")
    source.add_argument("--stored", action="store_true", help="what the database holds")
    parser.add_argument("--days", type=float, default=30.0, metavar="D", help="of what is stored: the last days")
    parser.add_argument("--registry", type=Path, help="the pumps' CSV; pumps outside it are taken as unregistered")
    parser.add_argument("--rulebook", type=Path, help="a rulebook; without it the defaults")
    parser.add_argument("--against", type=Path, metavar="RULEBOOK", help="another one, to see what would change")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_database_url(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    tried = _rulebook(arguments.rulebook)
    other = None if arguments.against is None else _rulebook(arguments.against)
    registered = None if arguments.registry is None else _registered(arguments.registry)
    for failed in (tried, other, registered):
        if isinstance(failed, int):
            return failed
    rulebooks = [each for each in (tried, other) if isinstance(each, Rulebook)]
    pumps = registered if isinstance(registered, list) else []
    try:
        if arguments.stored:
            backtests = asyncio.run(_over_store(arguments, rulebooks, pumps))
        else:
            backtests = [Backtest(rulebook, pumps) for rulebook in rulebooks]
            with _opened(arguments.stream) as stream:
                for messages in _messages(stream, arguments.stream):
                    for backtest in backtests:
                        backtest.feed(messages)
    except (OSError, asyncpg.PostgresError) as error:
        what = arguments.stream or "database"
        print(f"{what}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return EXIT_USAGE
    except msgspec.DecodeError as error:
        print(error, file=sys.stderr)
        return EXIT_PROBLEMS
    findings = [backtest.finish() for backtest in backtests]
    compared = compare(findings[0], findings[1]) if len(findings) == 2 else None
    if arguments.json:
        print(msgspec.json.encode(_told(rulebooks, backtests, findings, compared)).decode())
    else:
        _print(rulebooks, backtests, findings, compared)
    return EXIT_OK


async def _over_store(
    arguments: argparse.Namespace, rulebooks: list[Rulebook], registered: list[tuple[str, PumpFacts]]
) -> list[Backtest]:
    """Day by day, so that memory holds one day of readings."""
    connection = await asyncpg.connect(settings_of(arguments).database_url, timeout=CONNECT_WITHIN_S)
    try:
        pumps = await history.pumps(connection)
        known = registered or [(pump.pump_id, pump.facts) for pump in pumps.values()]
        backtests = [Backtest(rulebook, known) for rulebook in rulebooks]
        until = datetime.now(UTC)
        at = until - timedelta(days=arguments.days)
        while at < until:
            following = min(at + timedelta(days=1), until)
            items = await history.measured_between(connection, at, following)
            names = {key: pump.pump_id for key, pump in pumps.items()}
            for backtest in backtests:
                backtest.feed_stored(items.copy(), names, round(following.timestamp() * 1000))
            at = following
    finally:
        await connection.close()
    return backtests


def _rulebook(path: Path | None) -> Rulebook | int:
    """The rulebook in a file as it is in force now, or the exit code after saying what is wrong."""
    if path is None:
        return DEFAULT_RULEBOOK
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


def _told(
    rulebooks: list[Rulebook], backtests: list[Backtest], findings: list[list[Finding]], compared: Compared | None
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rulebook_version": rulebooks[0].version,
        "readings": backtests[0].readings,
        "rejected": len(backtests[0].rejections),
        "pump_hours": round(backtests[0].pump_hours, 1),
        "alerts": findings[0],
    }
    if compared is not None:
        told["against"] = {"rulebook_version": rulebooks[1].version, "alerts": findings[1], "changes": compared}
    return told


def _print(
    rulebooks: list[Rulebook], backtests: list[Backtest], findings: list[list[Finding]], compared: Compared | None
) -> None:
    console = Console()
    backtest = backtests[0]
    years = backtest.pump_hours / HOURS_A_YEAR
    if compared is None:
        console.print(_alerts(findings[0]))
    else:
        console.print(_changes(compared, rulebooks, years))
    told = sum(not each.shadow and not each.inhibited for each in findings[0])
    rate = f" ({_rate(told, years)} a pump-year)" if years else ""
    print(
        f"{told} alerts{rate}, from {backtest.readings} readings and events in {backtest.pump_hours:,.0f} pump-hours;"
        f" {len(backtest.rejections)} messages rejected"
    )


def _alerts(findings: list[Finding]) -> Table:
    table = Table("pump", "condition", "priority", "began", "detected", "ended", "")
    for finding in findings:
        table.add_row(
            finding.pump_id or finding.subject,
            finding.condition,
            finding.priority,
            _utc(finding.began_ms),
            _utc(finding.detected_ms),
            "still on" if finding.ended_ms is None else _utc(finding.ended_ms),
            "in shadow" if finding.shadow else "told by its site" if finding.inhibited else "",
        )
    return table


def _changes(compared: Compared, rulebooks: list[Rulebook], years: float) -> Table:
    columns = ("condition", "this", "a pump-year", "other", "a pump-year", "only this", "only other", "sooner by")
    table = Table(*columns, title=f"this: {rulebooks[0].version}, other: {rulebooks[1].version}")
    for row in compared.conditions:
        sooner = "-" if row.sooner_by_s is None else f"{row.sooner_by_s / 60:+.1f} min"
        table.add_row(
            *(row.condition, str(row.this), _rate(row.this, years), str(row.other), _rate(row.other, years)),
            *(str(row.only_this), str(row.only_other), sooner),
        )
    return table


def _rate(count: int, years: float) -> str:
    return f"{count / years:.3g}" if years else "-"


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
