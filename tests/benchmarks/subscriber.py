"""How fast is a C subscriber that discards? `mosquitto_sub` on a persistent session: what a broker can give."""

import asyncio
import shutil
import time
from asyncio.subprocess import Process
from urllib.parse import urlsplit

from tests.benchmarks import load
from tests.benchmarks.ground import Ground, SkippedError
from tests.benchmarks.processes import ended, started
from tests.benchmarks.roles import PATIENCE_S

CONNECTS_WITHIN_S = 0.5


async def measure(ground: Ground, broker_kind: str, count: int) -> float:
    """Messages a second, from the first PUBLISH until the subscriber has had `count` and ends by itself."""
    program = shutil.which("mosquitto_sub")
    if program is None:
        raise SkippedError("no mosquitto_sub on this machine (Debian: apt-get install mosquitto-clients)")
    with ground.broker(broker_kind) as broker:
        at = urlsplit(broker.url)
        session = ["-h", at.hostname, "-p", at.port, "-c", "-i", "subscriber", "-q", 1, "-t", "pumps/v1/+/+"]
        created = await started([program, *session, "-E"])
        async with ended(created):
            await asyncio.wait_for(created.wait(), PATIENCE_S)
        child = await started([program, *session, "-C", count, "-N", "-F", "."])
        async with ended(child):
            # It does not say when it is connected. Were it late the session would hold the messages for it.
            await asyncio.sleep(CONNECTS_WITHIN_S)
            blast, ended_at = await asyncio.gather(load.publish(broker.url, count), _ended_at(child))
            return count / (ended_at - blast.began_at)


async def _ended_at(child: Process) -> float:
    await asyncio.wait_for(child.wait(), PATIENCE_S)
    return time.monotonic()
