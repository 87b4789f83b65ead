"""`pumpwatch demo`: everything on this machine, with a simulated fleet and a clinic that is told."""

import argparse
import asyncio
from pathlib import Path

from rich.console import Console

from service.demo.show import Options, Show

DIRECTORY = Path(".pumpwatch/demo")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "demo",
        help="servers, service, a simulated fleet and a clinic, all on this machine",
        description="Exits with 0 if every fault that was due raised its alert, and the clinic verified its webhook, "
        "and no alert was false.",
    )
    parser.add_argument(
        "--for", dest="live_s", type=_positive, metavar="S", help="seconds of live time; else until Ctrl-C"
    )
    parser.add_argument("--pumps", type=_positive, default=200, help="how many pumps (200)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed makes the same fleet and faults (7)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what happened, as JSON")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help=f"emptied at the start ({DIRECTORY})")
    parser.set_defaults(run=run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def run(arguments: argparse.Namespace) -> int:
    options = Options(arguments.directory, arguments.pumps, arguments.seed, arguments.live_s, arguments.report)
    return asyncio.run(Show(options, Console()).run())
