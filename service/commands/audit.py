"""`pumpwatch audit`: whether history and audit are what they were when they were written."""

import argparse
import sys

from service.commands.database import add_database_url, settings_of, with_database
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres import chains


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("audit", help="see whether the history of alerts and the audit are unbroken")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="find entries that were changed, taken out or put in afterwards")
    verify.set_defaults(run=run_verify)
    add_database_url(verify)


def run_verify(arguments: argparse.Namespace) -> int:
    found = with_database(settings_of(arguments), chains.verify)
    for problem in found.problems:
        print(problem, file=sys.stderr)
    said = f"{found.entries} entries of alerts, {found.audited} of the audit, {found.days} days' roots"
    print(f"{said}: {'broken' if found.problems else 'unbroken'}")
    return EXIT_PROBLEMS if found.problems else EXIT_OK
