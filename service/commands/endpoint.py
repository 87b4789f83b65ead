"""`pumpwatch endpoint`: who is told of alerts. The signing secret is printed once."""

import argparse
import sys

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.endpoint import endpoint_problems
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres.endpoints import EndpointNameTakenError, add_endpoint, disable_endpoint, endpoints


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("endpoint", help="add, list and disable the webhook endpoints")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add an endpoint and print its signing secret, this once")
    add.add_argument("--name", required=True)
    add.add_argument("--url", required=True, help="https://…; http:// to this machine only")
    add.add_argument("--accepts-simulated", action="store_true", help="alerts of simulated pumps go there too")
    add.set_defaults(run=run_add)
    listing = actions.add_parser("list", help="say which endpoints there are")
    listing.set_defaults(run=run_list)
    disable = actions.add_parser("disable", help="send nothing there any more")
    disable.add_argument("name")
    disable.set_defaults(run=run_disable)
    for action in (add, listing, disable):
        add_database_url(action)


def run_add(arguments: argparse.Namespace) -> int:
    name, url, simulated = arguments.name, arguments.url, arguments.accepts_simulated
    if problems := endpoint_problems(name, url):
        print("\n".join(f"--{field}: {what}" for field, what in problems), file=sys.stderr)
        return EXIT_USAGE
    try:
        made = with_database(
            settings_of(arguments),
            lambda connection: add_endpoint(connection, name, url, actor(), accepts_simulated=simulated),
        )
    except EndpointNameTakenError as error:
        print(error, file=sys.stderr)
        return EXIT_PROBLEMS
    print(made.secret)
    print(f"{name} is {made.id}; its secret is not shown again", file=sys.stderr)
    return EXIT_OK


def run_list(arguments: argparse.Namespace) -> int:
    rows = with_database(settings_of(arguments), endpoints)
    columns = ("name", "url", "accepts_simulated", "enabled", "created_at")
    header = ("NAME", "URL", "SIMULATED", "ENABLED", "CREATED")
    print(table(header, [[row[column] for column in columns] for row in rows]))
    return EXIT_OK


def run_disable(arguments: argparse.Namespace) -> int:
    name = arguments.name
    if with_database(settings_of(arguments), lambda connection: disable_endpoint(connection, name, actor())):
        print(f"disabled {name}")
        return EXIT_OK
    print(f"{name}: no enabled endpoint has this name", file=sys.stderr)
    return EXIT_PROBLEMS
