"""`pumpwatch boot`: accept a pump's boot that is further ahead than can be."""

import argparse
import sys
from datetime import UTC, datetime

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.core.reading import MAX_BOOT
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres.boots import BootRefusedError, accept


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "boot",
        help="accept a pump's boot that is further ahead than can be",
        description="What came of it is in quarantine (implausible_boot); the pump sends it again. Find out first who "
        "sends: what comes of earlier boots counts as late from then on.",
    )
    parser.add_argument("pump_id", metavar="PUMP")
    parser.add_argument("boot", metavar="BOOT", type=int)
    parser.add_argument("--reason", required=True, help="why; it is kept in the audit, so no personal data")
    add_database_url(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    pump_id, boot, reason = arguments.pump_id, arguments.boot, arguments.reason
    if not reason.strip() or not 0 <= boot <= MAX_BOOT:
        print(f"--reason: say why; BOOT: 0 to {MAX_BOOT}", file=sys.stderr)
        return EXIT_USAGE
    try:
        known = with_database(
            settings_of(arguments),
            lambda connection: accept(connection, pump_id, boot, reason, actor(), datetime.now(UTC)),
        )
    except BootRefusedError as error:
        print(error, file=sys.stderr)
        return EXIT_PROBLEMS
    if not known:
        print(f"{pump_id}: no such pump", file=sys.stderr)
        return EXIT_PROBLEMS
    print(f"{pump_id}: what comes of boot {boot} is taken from now on")
    return EXIT_OK
