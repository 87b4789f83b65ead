"""`pumpwatch run ROLE`: one role in this process, configured by the environment alone."""

import argparse
import gc

import uvloop

from service import app, logs
from service.exits import EXIT_OK
from service.settings import load

ROLES = {"ingest": app.ingest, "watch": app.watch, "deliver": app.deliver, "api": app.api}


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("run", help="run one role in this process; `up` runs all of them")
    parser.add_argument("role", choices=ROLES)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = load()
    logs.configure(arguments.role, settings.log_level, settings.log_format)
    # What is loaded by now lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    uvloop.run(app.run(ROLES[arguments.role], settings))
    return EXIT_OK
