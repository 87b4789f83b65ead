"""`pumpwatch run ROLE`: one role in this process, configured by the environment alone."""

import argparse
import asyncio

from service import logs
from service.exits import EXIT_OK
from service.settings import load
from service.supervise import ROLES


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("run", help="run one role in this process; `up` runs all of them")
    parser.add_argument("role", choices=ROLES)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = load()
    logs.configure(arguments.role, settings.log_level)
    from service import app

    asyncio.run(getattr(app, arguments.role)(settings))
    return EXIT_OK
