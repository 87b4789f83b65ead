"""`pumpsim score`: how good is a rulebook, measured on a labelled fleet?"""

import argparse
import shlex
import sys
from pathlib import Path

import msgspec
from rich.console import Console

from simulators import argument
from simulators.argument import EXIT_OK, EXIT_PROBLEMS, refuse
from simulators.progress import Steps
from simulators.scorecard import tables, told
from simulators.scorepage import page
from simulators.trial import Trial, TrialError, run

TABLE_WIDTH = 170


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=score)
    parser.add_argument("rulebook", type=Path, nargs="?", metavar="RULEBOOK", help="without it: the service's defaults")
    parser.add_argument("--pump-hours", type=argument.from_zero, default=1e6, metavar="H", help="in all, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=argument.whole, default=30, metavar="N", help="pumps for each kind of fault")
    parser.add_argument("--interval", type=argument.spacing, default=60.0, metavar="S", help="between two readings")
    parser.add_argument(
        "--drift-tau-h", type=argument.from_zero, default=6.0, metavar="H", help="of the flow sensor's slow noise"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="what each stretch gave: none is run a second time")
    parser.add_argument("--revision", default="this version", metavar="TEXT", help="which code this is a score of")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the whole score")
    parser.add_argument("--page", type=Path, metavar="FILE", help="the same as a page of Markdown")
    parser.add_argument(
        "--pumpwatch", type=shlex.split, default=(), metavar="COMMAND", help="how to call it; default: beside this one"
    )


def score(arguments: argparse.Namespace) -> int:
    if arguments.rulebook is not None and not arguments.rulebook.is_file():
        return refuse(f"{arguments.rulebook}: no such file")
    trial = Trial(
        rulebook=arguments.rulebook,
        pump_hours=arguments.pump_hours,
        seed=arguments.seed,
        each=arguments.each,
        interval_s=arguments.interval,
        drift_tau_h=arguments.drift_tau_h,
        keep=arguments.keep,
        pumpwatch=tuple(arguments.pumpwatch),
    )
    with Steps() as steps:
        try:
            found, version = run(trial, steps.show)
        except TrialError as error:
            steps.say(f"pumpsim: {error}")
            return EXIT_PROBLEMS
    asked = {
        "rulebook": "default" if arguments.rulebook is None else arguments.rulebook.name,
        "rulebook_version": version,
        "revision": arguments.revision,
        "seed": trial.seed,
        "interval_s": trial.interval_s,
        "drift_tau_h": trial.drift_tau_h,
    }
    result = msgspec.to_builtins(asked | told(found, drift_tau_h=trial.drift_tau_h))
    if arguments.json is not None:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    if arguments.page is not None:
        arguments.page.write_text(page(result), encoding="utf-8")
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    for table in tables(result):
        console.print(table)
    console.print(f"{result['pump_hours']:,.0f} pump-hours, rulebook {version}, seed {trial.seed}", highlight=False)
    return EXIT_OK
