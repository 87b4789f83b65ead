"""How long does an ingester take for what has gathered while it was away, and how much of that comes twice?

More than it may hold unsettled (docs/decisions/0006-a-full-inbox-pauses.md), all of it at once: Mosquitto sends a
session everything that waits for it.
"""

import time
from dataclasses import dataclass

from tests.benchmarks import load
from tests.benchmarks.ground import Ground
from tests.benchmarks.ingest import SETTLED, STORED
from tests.benchmarks.roles import running


@dataclass(frozen=True, slots=True)
class WorkedOff:
    messages_a_second: float
    repeated: float  # messages that came again
    connections: float


async def measure(ground: Ground, broker_kind: str, count: int) -> WorkedOff:
    """From when the ingester is started until all is stored and settled."""
    with ground.broker(broker_kind) as broker:
        async with ground.database() as database_url:
            async with running("ingest", ground.directory, database_url, broker.url):
                pass  # the session is there from now on
            await load.publish(broker.url, count)
            began_at = time.monotonic()
            async with running("ingest", ground.directory, database_url, broker.url) as ingester:
                done_at = await ingester.wait_until({SETTLED: count, STORED: count})
                return WorkedOff(
                    count / (done_at - began_at),
                    ingester.counted("pumpwatch_duplicates_total"),
                    ingester.counted("pumpwatch_broker_connections_total"),
                )
