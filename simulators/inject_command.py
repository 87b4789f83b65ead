"""`pumpsim inject`: let a fault begin in a fleet that is running."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from simulators import argument
from simulators.argument import EXIT_OK, refuse
from simulators.control import Wanted, default_directory, inject
from simulators.labels import Label


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    parser.add_argument("fault", metavar="FAULT", help="stall, silence, battery_reset …")
    parser.add_argument("--pump", required=True, metavar="ID")
    parser.add_argument(
        "--for", dest="for_ms", type=argument.span_ms, metavar="TIME", help="90s, 45m, 2h; default: usual"
    )
    parser.add_argument("--value", type=argument.number, help="what the fault needs; default: usual")
    parser.add_argument(
        "--control", type=Path, default=default_directory(), metavar="DIR", help="where the fleet listens"
    )


def run(arguments: argparse.Namespace) -> int:
    answer = inject(arguments.control, Wanted(arguments.pump, arguments.fault, arguments.for_ms, arguments.value))
    if answer.label is None:
        return refuse(answer.problem)
    print(told(answer.label))
    return EXIT_OK


def told(label: Label) -> str:
    """What was done, for a person."""
    ends = "for good" if label.end_ms is None else f"until {_clock(label.end_ms)}"
    due = f"; due by {_clock(label.due_ms)}" if label.due_ms is not None else ""
    raises = f"; must raise {', '.join(label.expected)}{due}" if label.expected else "; must raise nothing"
    return f"{label.pump_id}: {label.fault} from {_clock(label.onset_ms)} {ends}{raises}"


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
