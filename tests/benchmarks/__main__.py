"""`make bench`: measure everything on real servers, ours beside what is possible and usual; table, JSON and page.

Rounds alternate between ours and the baselines, under the same load, since machines drift: compare ratios.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from pathlib import Path

from rich.console import Console

from tests.benchmarks.page import page_of
from tests.benchmarks.results import Results
from tests.benchmarks.suite import STEPS, Size, run

DESTINATION = Path("build/bench.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    usual = Size()
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--messages", type=int, default=usual.messages, help="in each throughput measurement")
    parser.add_argument("--pumps", type=int, nargs="+", default=usual.pumps, help="fleets to compare (%(default)s)")
    parser.add_argument("--history", type=int, nargs="+", default=usual.history, help="stored before (%(default)s)")
    parser.add_argument(
        "--only", nargs="+", default=list(STEPS), choices=list(STEPS), metavar="STEP", help=", ".join(STEPS)
    )
    parser.add_argument("--to", type=Path, default=DESTINATION, help="the JSON file; the page beside it (%(default)s)")
    parser.add_argument(
        "--url", default=os.environ.get("TIMESCALE_URL"), help="a database server that runs (TIMESCALE_URL)"
    )
    arguments = parser.parse_args()
    size = Size(arguments.rounds, arguments.messages, tuple(arguments.pumps), tuple(arguments.history))
    results, console = Results(), Console(stderr=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(results, size, arguments.only, console, arguments.url))
        results.write(arguments.to)
        arguments.to.with_suffix(".html").write_text(page_of(results.as_json()), encoding="utf-8")
        Console().print(results.table())
        for name, reason in results.skipped.items():
            Console().print(f"{name} skipped: {reason}")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
