"""How many messages a second does the ingester take: all rules on, stored, settled? The role, on real servers."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import asyncpg

from tests.benchmarks import load
from tests.benchmarks.ground import Broker, Ground
from tests.benchmarks.long_messages import JSON
from tests.benchmarks.processes import cpu_s, cpu_with_children_s
from tests.benchmarks.roles import Role, RoleError, running

SETTLED, STORED = "pumpwatch_settled_total", "pumpwatch_readings_stored_total"


@dataclass(frozen=True, slots=True)
class Load:
    """What is published, at full speed."""

    messages: int  # that are counted
    readings: int = 1
    pumps: int = load.PUMPS
    form: str = JSON
    known: bool = False  # counted from when each pump has been heard, and judged, once

    @property
    def before(self) -> int:
        """Messages that come first, and are not counted: of two of a pump the second makes its first step."""
        return 2 * self.pumps if self.known else 0


@dataclass(frozen=True, slots=True)
class Ingested:
    messages_a_second: float
    cpu_us_a_message: float
    broker_us_a_message: float  # processor time, as above
    database_us_a_message: float
    stages_us_a_message: dict[str, float] = field(default_factory=dict)  # time passed, as the ingester tells it


class _Seen(NamedTuple):
    at_s: float
    ingester_s: float
    broker_s: float
    database_s: float
    stages_s: dict[str, float]


async def measure(
    ground: Ground,
    broker_kind: str,
    told: Load,
    *,
    database_url: str | None = None,
    watch: Callable[[Role], AbstractContextManager[None]] = lambda _: nullcontext(),
    **started_as: Any,
) -> Ingested:
    """From the first PUBLISH to the last PUBACK after its commit; `watch` is entered meanwhile."""
    published = told.before + told.messages
    readings = published * told.readings
    with ground.broker(broker_kind) as broker:
        async with (
            nullcontext(database_url) if database_url else ground.database(told.pumps) as url,
            running("ingest", ground.directory, url, broker.url, **started_as) as ingester,
        ):
            stored_before = await _stored(url)
            publishing = asyncio.create_task(
                load.publish(broker.url, published, readings=told.readings, pumps=told.pumps, form=told.form)
            )
            await ingester.wait_until({SETTLED: told.before})
            with watch(ingester):
                before = _seen(ground, broker, ingester)
                # Both: a message whose PUBACK was lost with its connection is settled twice, and stored once.
                blast, done_at = await asyncio.gather(
                    publishing, ingester.wait_until({SETTLED: published, STORED: readings})
                )
                after = _seen(ground, broker, ingester)
            await _check(url, stored_before + readings)
    began_at = before.at_s if told.known else blast.began_at

    def us(used_s: float) -> float:
        return used_s / told.messages * 1e6

    return Ingested(
        told.messages / (done_at - began_at),
        us(after.ingester_s - before.ingester_s),
        us(after.broker_s - before.broker_s),
        us(after.database_s - before.database_s),
        {stage: us(took_s - before.stages_s.get(stage, 0.0)) for stage, took_s in after.stages_s.items()},
    )


def _seen(ground: Ground, broker: Broker, ingester: Role) -> _Seen:
    return _Seen(
        time.monotonic(), ingester.cpu_s, cpu_s(broker.pid), cpu_with_children_s(ground.postgres_pid), ingester.stages_s
    )


async def _stored(database_url: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM reading"))
    finally:
        await connection.close()


async def _check(database_url: str, expected: int) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        kept_aside = await connection.fetchval("SELECT count(*) FROM quarantine")
    finally:
        await connection.close()
    stored = await _stored(database_url)
    if stored != expected or kept_aside:
        raise RoleError(f"{stored} of {expected} readings are stored, {kept_aside} messages in quarantine")
