"""`pumpsim scenario`: which scenarios there are, and what happens in one."""

import argparse
import sys

from simulators.argument import EXIT_OK, EXIT_USAGE
from simulators.scenario import ScenarioError, packaged, scenario_named, text_of


def add(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the scenarios that come with pumpsim")
    listing.set_defaults(run=run_list)
    show = commands.add_parser("show", help="one scenario as it is written; a file is checked too")
    show.add_argument("scenario", metavar="NAME|FILE")
    show.set_defaults(run=run_show)


def run_list(_arguments: argparse.Namespace) -> int:
    names = packaged()
    for name in names:
        print(f"{name:{max(map(len, names))}}  {scenario_named(name).title}")
    return EXIT_OK


def run_show(arguments: argparse.Namespace) -> int:
    try:
        scenario_named(arguments.scenario)
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    print(text_of(arguments.scenario), end="")
    return EXIT_OK
