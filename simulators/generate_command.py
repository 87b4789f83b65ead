"""`pumpsim generate`: the wire messages of a fleet, or of scenarios, to standard output."""

import argparse
import heapq
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from simulators import argument
from simulators.argument import EXIT_OK, EXIT_USAGE, refuse
from simulators.fleet import write_registry
from simulators.generate import Generated, Stream, lines_of
from simulators.plan import BOOTS_SINCE_MS
from simulators.progress import Steps
from simulators.scenario import Scenario, ScenarioError, packaged, scenario_named, stream_of

ALL = "all"


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    argument.add_pumps(parser, interval_s=60.0)
    parser.add_argument("--hours", type=argument.from_zero, default=24.0, metavar="H")
    parser.add_argument(
        "--readings-a-message", type=argument.readings, metavar="N", help="default: 60; 1 of a scenario"
    )
    parser.add_argument(
        "--faults",
        type=argument.faults,
        default="none",
        help="demo, none, each:N, decoys:N, field:FACTOR, or kinds with commas",
    )
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help=f"its pumps in place of a fleet; may be repeated; {ALL}: every one that comes with pumpsim",
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="what was injected, as JSON, once all is written")
    parser.add_argument("--registry", type=Path, metavar="FILE", help="the CSV of the pumps")


def run(arguments: argparse.Namespace) -> int:
    start_ms = BOOTS_SINCE_MS if arguments.start_ms is None else arguments.start_ms
    try:
        scenarios = _scenarios(arguments.scenario, start_ms)
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    with Steps() as steps:
        if scenarios:
            streams = [stream_of(scenario, arguments.readings_a_message or 1) for scenario in scenarios]
        else:
            try:
                streams = [_fleet(arguments, start_ms, steps)]
            except ValueError as error:
                return refuse(str(error))
        fleet = [pump for stream in streams for pump in stream.fleet]
        if arguments.registry is not None:
            with arguments.registry.open("w", encoding="utf-8") as file:
                write_registry(fleet, file, start_ms)
        sys.stdout.buffer.writelines(_merged(streams))
        sys.stdout.buffer.flush()
    if arguments.labels is not None:
        labels = [label for stream in streams for label in stream.labels()]
        arguments.labels.write_bytes(msgspec.json.format(msgspec.json.encode(labels)) + b"\n")
    return EXIT_OK


def _fleet(arguments: argparse.Namespace, start_ms: int, steps: Steps) -> Generated:
    stream = Stream(
        pumps=arguments.pumps,
        hours=arguments.hours,
        interval_s=arguments.interval,
        seed=arguments.seed,
        prefix=arguments.prefix,
        faults=arguments.faults,
        start_ms=start_ms,
        readings_a_message=arguments.readings_a_message or 60,
    )
    return lines_of(stream, lambda share: steps.show(f"{arguments.pumps} pumps", share))


def _scenarios(names: list[str], start_ms: int) -> list[Scenario]:
    """Read them all; raises ScenarioError with the mistakes of every file."""
    found, problems = [], []
    for name in packaged() if ALL in names else names:
        try:
            found.append(scenario_named(name, start_ms))
        except ScenarioError as error:
            problems.append(error)
    if problems:
        raise ScenarioError.of_several(problems)
    return found


def _merged(streams: list[Generated]) -> Iterator[bytes]:
    if len(streams) == 1:
        return streams[0].lines
    return (line for _, line in heapq.merge(*(stream.timed_lines for stream in streams)))
