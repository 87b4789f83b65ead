"""How is it usually done? aiomqtt, json, one INSERT a message, or batches of 500: what to compare with.

python -m tests.benchmarks.aiomqtt_script BROKER_URL DATABASE_URL COUNT BATCH
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
import asyncpg

from tests.benchmarks import load
from tests.benchmarks.ground import NATS, Ground
from tests.benchmarks.processes import ended, started
from tests.benchmarks.roles import PATIENCE_S

CREATE = """
CREATE TABLE plain_reading (
    pump_id text, measured_at timestamptz, boot bigint, seq bigint, mode text, program_ml_d real, flow_ml_d real,
    reservoir_ml real, battery_v real, PRIMARY KEY (pump_id, boot, seq)
)
"""
INSERT = "INSERT INTO plain_reading VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"


def row_of(message: aiomqtt.Message) -> tuple[Any, ...]:
    said = json.loads(message.payload)
    return (
        message.topic.value.split("/")[2],
        datetime.fromtimestamp(said["time_ms"][0] / 1000, UTC),
        said["boot"],
        said["seq"],
        said["mode"][0],
        said["program_ml_d"][0],
        said["flow_ml_d"][0],
        said["reservoir_ml"][0],
        said["battery_v"][0],
    )


async def main(broker_url: str, database_url: str, count: int, batch: int) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(CREATE)
    at = urlsplit(broker_url)
    async with aiomqtt.Client(at.hostname or "", at.port or 1883, identifier="plain", clean_session=False) as client:
        await client.subscribe("pumps/v1/+/+", qos=1)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        rows: list[tuple[Any, ...]] = []
        stored = 0
        async for message in client.messages:
            rows.append(row_of(message))
            if len(rows) == batch or stored + len(rows) == count:
                if batch == 1:
                    await connection.execute(INSERT, *rows[0])
                else:
                    await connection.executemany(INSERT, rows)
                stored += len(rows)
                rows.clear()
            if stored == count:
                break
    await connection.close()


async def measure(ground: Ground, count: int, batch: int) -> float:
    """Messages a second through NATS, from the first PUBLISH to the last row."""
    with ground.broker(NATS) as broker:
        async with ground.database() as database_url:
            command = [sys.executable, "-m", __name__, broker.url, database_url, count, batch]
            child = await started(command, wants_output=True)
            async with ended(child):
                assert child.stdout is not None
                if await asyncio.wait_for(child.stdout.readline(), PATIENCE_S) != b"ready\n":
                    raise RuntimeError("the plain script did not start")
                blast = await load.publish(broker.url, count)
                await asyncio.wait_for(child.wait(), PATIENCE_S)
                return count / (time.monotonic() - blast.began_at)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
