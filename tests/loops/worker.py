"""One delivery worker as a process of its own, to be killed: `python -m tests.loops.worker DATABASE_URL`."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
from prometheus_client import CollectorRegistry

from service import logs
from service.core.address import Allowed
from service.core.change import Priority
from service.loops.deliver import deliver
from service.loops.letters import Letters
from service.metrics import Metrics
from service.ports import Clock
from service.postgres.outbox import PLANS, PostgresOutbox, no_reset
from service.postgres.waking import woken_by
from service.postgres.workers import at_work
from service.webhooks.destination import Checked
from service.webhooks.sender import HttpSender
from tests.keys import LOOPBACK_ALLOWED, VAULT


def real_clock() -> datetime:
    return datetime.now(UTC)


async def work(
    database_url: str, stop: asyncio.Event, metrics: Metrics, clock: Clock = real_clock, **how: object
) -> None:
    """What the role `deliver` is made of."""
    async with (
        asyncpg.create_pool(database_url, min_size=1, max_size=4, server_settings=PLANS, reset=no_reset) as pool,
        HttpSender(network=Checked(Allowed.parse(LOOPBACK_ALLOWED))) as sender,
        woken_by(database_url) as wake,
        at_work(database_url) as worker,
    ):
        letters = Letters("https://board.example", VAULT.link_keys[0])
        given = {"letters": letters, "metrics": metrics, "clock": clock, "stop": stop, "wake": wake} | how
        await deliver(PostgresOutbox(pool, VAULT, worker), sender, **given)


@dataclass
class Working:
    metrics: Metrics
    stop: asyncio.Event
    done: asyncio.Task[None]


@asynccontextmanager
async def working(database_url: str, clock: Clock = real_clock, **how: object) -> AsyncIterator[Working]:
    """A worker inside this process; leaving stops it in good order, and shows its errors."""
    stop, metrics = asyncio.Event(), Metrics(CollectorRegistry())
    async with asyncio.TaskGroup() as tasks:
        done = tasks.create_task(work(database_url, stop, metrics, clock, **how))
        try:
            yield Working(metrics, stop, done)
        finally:
            stop.set()


async def main() -> None:
    """A second argument holds other waits than the product's: `{"waits_s": […], "patience_s": …}`."""
    how: dict[str, object] = {}
    if len(sys.argv) > 2:
        given = json.loads(sys.argv[2])
        waits_s = dict.fromkeys(Priority, given["waits_s"])
        how = {"waits_s": waits_s, "least_patience_s": given["patience_s"]}
        logs.configure("deliver", "info")
    await work(sys.argv[1], asyncio.Event(), Metrics(CollectorRegistry()), **how)


if __name__ == "__main__":
    asyncio.run(main())
