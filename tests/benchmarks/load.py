"""How is everyone given the same load? By the blaster, as a process of its own: in ours it would cost us time.

python -m tests.benchmarks.load URL COUNT READINGS RATE PUMPS FORM     (RATE 0: as fast as the broker takes them)
"""

import json
import sys
from dataclasses import asdict
from functools import partial

from tests.benchmarks import blaster
from tests.benchmarks.long_messages import JSON, packets_of
from tests.benchmarks.processes import ended, started

PUMPS = 1000
PATIENCE_S = 120.0


async def publish(
    url: str, count: int, *, readings: int = 1, rate: float = 0.0, pumps: int = PUMPS, form: str = JSON
) -> blaster.Blast:
    """Publish `count` messages of `readings` each for `pumps` pumps; return once the broker has settled all of them."""
    child = await started([sys.executable, "-m", __name__, url, count, readings, rate, pumps, form], wants_output=True)
    async with ended(child):
        told, _ = await child.communicate()
    if child.returncode != 0:
        raise RuntimeError(f"the blaster ended with code {child.returncode}")
    blast = blaster.Blast(**json.loads(told))
    if blast.settled != count:
        raise RuntimeError(f"the broker settled {blast.settled} of {count} messages within {PATIENCE_S:.0f} s")
    return blast


def main(url: str, count: int, readings: int, rate: float, pumps: int, form: str) -> None:
    build = blaster.packets if readings == 1 and form == JSON else packets_of(readings, form)
    blast = partial(blaster.blast, pumps=min(pumps, count), within_s=PATIENCE_S, build=build)
    sys.stdout.write(json.dumps(asdict(blast(url, count, rate=rate or None))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
