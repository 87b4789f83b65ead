"""How many messages a second does the ingester take: all rules on, stored, settled? The role, on real servers."""

from dataclasses import dataclass

import asyncpg

from tests.benchmarks import load
from tests.benchmarks.ground import Ground
from tests.benchmarks.roles import RoleError, running


@dataclass(frozen=True, slots=True)
class Ingested:
    messages_a_second: float
    cpu_us_a_message: float


async def measure(ground: Ground, broker_kind: str, count: int, readings: int = 1) -> Ingested:
    """Publish `count` messages at full speed; from the first PUBLISH to the last PUBACK after its commit."""
    with ground.broker(broker_kind) as broker:
        async with (
            ground.database() as database_url,
            running("ingest", ground.directory, database_url, broker.url) as ingester,
        ):
            cpu_before_s = ingester.cpu_s
            blast = await load.publish(broker.url, count, readings=readings)
            # Both: a message whose PUBACK was lost with its connection is settled twice, and stored once.
            done_at = await ingester.wait_until(
                {"pumpwatch_settled_total": count, "pumpwatch_readings_stored_total": count * readings}
            )
            cpu_s = ingester.cpu_s - cpu_before_s
            await _check(database_url, count * readings)
    return Ingested(count / (done_at - blast.began_at), cpu_s / count * 1e6)


async def _check(database_url: str, expected: int) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        stored = await connection.fetchval("SELECT count(*) FROM reading")
        kept_aside = await connection.fetchval("SELECT count(*) FROM quarantine")
    finally:
        await connection.close()
    if stored != expected or kept_aside:
        raise RoleError(f"{stored} of {expected} readings are stored, {kept_aside} messages in quarantine")
