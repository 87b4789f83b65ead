"""`make bench`: measure everything on real servers, ours beside what is possible and what is usual; table and JSON.

Rounds alternate between ours and the baselines, under the same load, since machines drift: compare ratios.
"""

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

from rich.console import Console

from tests.benchmarks.results import Results
from tests.benchmarks.suite import STEPS, Size, run

DESTINATION = Path("build/bench.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=Size().messages, help="in each throughput measurement")
    parser.add_argument(
        "--only", nargs="+", default=list(STEPS), choices=list(STEPS), metavar="STEP", help=", ".join(STEPS)
    )
    parser.add_argument("--to", type=Path, default=DESTINATION, help="the JSON file to write (%(default)s)")
    arguments = parser.parse_args()
    size = Size.for_messages(arguments.messages, rounds=arguments.rounds)
    results, console = Results(), Console(stderr=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(results, size, arguments.only, console))
        results.write(arguments.to)
        Console().print(results.table())
        for name, reason in results.skipped.items():
            Console().print(f"{name} skipped: {reason}")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
