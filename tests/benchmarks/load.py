"""How is everyone given the same load? By the blaster, as a process of its own: in ours it would cost us time.

python -m tests.benchmarks.load URL COUNT READINGS RATE PUMPS FORM BEFORE AFTER  (RATE 0: as fast as the broker takes)
"""

import json
import sys
from dataclasses import asdict

from tests.benchmarks import blaster
from tests.benchmarks.long_messages import JSON, packets_of
from tests.benchmarks.processes import ended, started

PUMPS = 1000
PATIENCE_S = 120.0


async def publish(
    url: str,
    count: int,
    *,
    readings: int = 1,
    rate: float = 0.0,
    pumps: int = PUMPS,
    form: str = JSON,
    before: int = 0,
    after: int = 0,
) -> blaster.Blast:
    """Publish `count` messages of `readings` each for `pumps` pumps; return once the broker has settled all of them.

    `before` and `after`: how many of the same fleet were published already, and are to be.
    """
    told_to = [url, count, readings, rate, pumps, form, before, after]
    child = await started([sys.executable, "-m", __name__, *told_to], wants_output=True)
    async with ended(child):
        told, _ = await child.communicate()
    if child.returncode != 0:
        raise RuntimeError(f"the blaster ended with code {child.returncode}")
    blast = blaster.Blast(**json.loads(told))
    if blast.settled != count:
        raise RuntimeError(f"the broker settled {blast.settled} of {count} messages within {PATIENCE_S:.0f} s")
    return blast


def main(url: str, count: str, readings: str, rate: str, pumps: str, form: str, before: str, after: str) -> None:
    build = blaster.packets if readings == "1" and form == JSON else packets_of(int(readings), form)
    came_of_it = blaster.blast(
        url,
        int(count),
        rate=float(rate) or None,
        pumps=min(int(pumps), int(count)),
        within_s=PATIENCE_S,
        build=build,
        before=int(before),
        after=int(after),
    )
    sys.stdout.write(json.dumps(asdict(came_of_it)))


if __name__ == "__main__":
    main(*sys.argv[1:])
