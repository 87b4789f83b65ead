"""`pumpwatch doctor`: what is wrong here, and what is to be done?"""

import argparse
import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec

from service.commands.output import shown
from service.doctor import broker, configuration, database, files, people
from service.doctor.finding import Finding, Level, problem, worst
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.settings import Settings, given_environment


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "doctor",
        help="what is wrong here, and what is to be done",
        description="Looks at settings, files, database, broker, clocks and endpoints as a role would see them here, "
        "and changes nothing. Run it as the service's account, with its environment.",
        epilog="Exit code 1: there is a problem; with --strict also for warnings.",
    )
    parser.add_argument("--json", action="store_true", help="print an object")
    parser.add_argument("--strict", action="store_true", help="a warning is a problem, too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings, found = configuration.read(given_environment())
    if settings is not None:
        found += asyncio.run(examine(settings))
    level = worst(found)
    if arguments.json:
        told: dict[str, Any] = {"level": level, "findings": [finding._asdict() for finding in found]}
        print(msgspec.json.encode(told).decode())
    else:
        print("\n".join(_lines(found)))
    healthy = {Level.OK} if arguments.strict else {Level.OK, Level.WARNING}
    return EXIT_OK if level in healthy else EXIT_PROBLEMS


async def examine(settings: Settings) -> list[Finding]:
    now = datetime.now(UTC)
    found = files.look(settings, now)
    of_broker = asyncio.create_task(broker.look(settings))
    connection, of_database = await database.connect(settings)
    if connection is not None:
        try:
            of_database += await database.look(connection, settings)
            if not any(finding.area == "schema" and finding.do for finding in of_database):
                watched = people.look(connection, settings, datetime.now(UTC))
                of_database += await database.allowed("watching", watched)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest is told
            of_database.append(problem("database", f"{type(error).__name__}: {error}", "see the database's log"))
        finally:
            connection.terminate()
    return [*found, *of_database, *await of_broker]


def _lines(found: list[Finding]) -> list[str]:
    width = max(len(finding.area) for finding in found)
    lines = []
    for finding in found:
        lines.append(f"{finding.level:<8} {finding.area:<{width}}  {shown(finding.what)}")
        if finding.do:
            lines.append(f"{'':<9}{'':<{width}}  → {shown(finding.do)}")
    counted = {level: sum(finding.level is level for finding in found) for level in Level}
    return [*lines, "", ", ".join(f"{count} {level}" for level, count in counted.items())]
