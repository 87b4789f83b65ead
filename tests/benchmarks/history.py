"""How many bytes is a stored reading, how fast do readings go in, and how long does a chart of 30 days take?

    python -m tests.benchmarks.history --url postgresql://… --to docs/measurements/history_timescale.json

The database server of `--url` has TimescaleDB; without it, plain PostgreSQL is started from its wheel. The readings are
those of simulated pumps, a minute apart; each generated pump is stored under several keys.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import numpy as np

from service.core.backtest import WireMessage
from service.core.by_stream import received_one_by_one
from service.core.decode import decode
from service.core.reading import EventType, Items
from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate
from service.postgres.partitions import make_ahead
from service.postgres.queries import readings
from service.postgres.readings import copy_in, instant, read_back
from tests.servers import database_url

START_MS: Final = 1_793_491_200_000  # a whole day
DAY_MS: Final = 86_400_000
FLEET: Final = 1000  # registered, so that chunks are as long as theirs
AT_ONCE: Final = 5000
CHARTS: Final = 100
COMPRESSED_AFTER_D: Final = 7

_CHART = """
    SELECT bucket_at, readings, flow_ml_d_mean, flow_ml_d_min, flow_ml_d_max, reservoir_ml_last, battery_v_min,
        delivered_by_flow_ul
    FROM reading_hour WHERE pump = $1 AND bucket_at >= $2 AND bucket_at < $3 ORDER BY bucket_at
"""
_DAYS = _CHART.replace("reading_hour", "reading_day")
_OLD_CHUNKS = "SELECT c::text FROM show_chunks('stored_reading', older_than => $1::timestamptz) AS c"
_BEFORE = "SELECT total_bytes FROM hypertable_detailed_size('stored_reading')"
_COMPRESSED = """
    SELECT sum(after_compression_total_bytes)::bigint AS bytes, sum(before_compression_total_bytes)::bigint AS before
    FROM chunk_columnstore_stats('stored_reading') WHERE compression_status = 'Compressed'
"""
_PLAIN_SIZE = (
    "SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'stored_reading'::regclass"
)


class _Line(msgspec.Struct):
    topic: str
    received_ms: int
    payload: msgspec.Raw
    spread_ms: int = 0


def generated(pumps: int, days: int) -> Items:
    """What so many simulated pumps measure, in the order of its coming, `pump` from 0."""
    command = [sys.executable, "-m", "simulators", "generate", "--pumps", str(pumps), "--hours", str(days * 24)]
    command += ["--start-ms", str(START_MS), "--interval", "60", "--faults", "demo"]
    said = subprocess.run(command, check=True, capture_output=True).stdout
    lines = [msgspec.json.decode(line, type=_Line) for line in said.splitlines()]
    messages = [WireMessage(line.topic.encode(), line.received_ms, bytes(line.payload)) for line in lines]
    names = sorted({message.topic.split(b"/")[2] for message in messages})
    items = decode(messages, {name: number for number, name in enumerate(names)}).items
    received_one_by_one(items, np.array([line.spread_ms for line in lines], np.int64))
    items = items[items["kind"] == EventType.READING]
    return items[np.argsort(items["received_ms"], kind="stable")]


async def stored(connection: asyncpg.Connection, items: Items, times: int, pumps: int) -> float:
    """Store `items` under `times` keys a pump, in order, a batch a transaction; return rows a second."""
    busy_s, rows = 0.0, 0
    part = AT_ONCE // times
    for first in range(0, len(items), part):
        batch = np.tile(items[first : first + part], times)
        batch["pump"] += 1 + np.repeat(np.arange(times), len(batch) // times) * pumps
        began = time.perf_counter()
        await copy_in(connection, batch)
        busy_s, rows = busy_s + time.perf_counter() - began, rows + len(batch)
    return rows / busy_s


async def timed(ask: Callable[[int], Awaitable[Any]], keys: int, times: int = CHARTS) -> dict[str, float]:
    """How long it takes for one pump after another, in milliseconds, once each is planned."""
    took_ms = []
    for number in range(times + 10):
        began = time.perf_counter()
        await ask(1 + number * 7919 % keys)
        took_ms.append((time.perf_counter() - began) * 1000)
    p50, p99 = np.percentile(took_ms[10:], (50, 99))
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


async def in_columns(connection: asyncpg.Connection, days: int) -> dict[str, Any]:
    """Let TimescaleDB do now what its jobs do in time; return how long that took, and bytes."""
    rows = await connection.fetchval("SELECT count(*) FROM reading")
    told: dict[str, Any] = {"bytes_a_reading_before": round(await connection.fetchval(_BEFORE) / rows, 1)}
    for view in ("reading_hour", "reading_day"):
        began = time.perf_counter()
        await connection.execute(f"CALL refresh_continuous_aggregate('{view}', NULL, NULL)")
        told[f"{view}_rows_a_second"] = round(rows / (time.perf_counter() - began))
    horizon = instant(START_MS + (days - COMPRESSED_AFTER_D) * DAY_MS)
    began = time.perf_counter()
    chunks = [row[0] for row in await connection.fetch(_OLD_CHUNKS, horizon)]
    for chunk in chunks:
        await connection.execute(f"SELECT compress_chunk('{chunk}')")
    compressing_s = time.perf_counter() - began
    compressed = 0
    for chunk in chunks:
        compressed += await connection.fetchval(f"SELECT count(*) FROM {chunk}")
    sizes = await connection.fetchrow(_COMPRESSED)
    await connection.execute("ANALYZE")
    return told | {
        "compressed_rows": compressed,
        "bytes_a_reading_compressed": round(sizes["bytes"] / compressed, 2),
        "compression_rows_a_second": round(compressed / compressing_s),
    }


async def measure(url: str, pumps: int, times: int, days: int) -> dict[str, Any]:
    await migrate(url)
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO pump (pump_id) SELECT 'm' || n FROM generate_series(1, $1::integer) AS n", FLEET
    )
    items = generated(pumps, days)
    first, last = (instant(items["measured_ms"][end]).date() for end in (0, -1))
    await make_ahead(connection, first - timedelta(days=1), last + timedelta(days=1))
    keys, rate = pumps * times, await stored(connection, items, times, pumps)
    rows = len(items) * times
    told: dict[str, Any] = {
        "server": (await connection.fetchval("SHOW server_version")).split()[0],
        "timescaledb": await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"),
        "pumps": keys,
        "days": days,
        "rows": rows,
        "copy_rows_a_second": round(rate),
    }
    if told["timescaledb"]:
        told |= await in_columns(connection, days)
    else:
        await connection.execute("VACUUM ANALYZE reading")
        told["bytes_a_reading"] = round(await connection.fetchval(_PLAIN_SIZE) / rows, 1)
    since, until = instant(START_MS), instant(START_MS + days * DAY_MS)
    evening = instant(START_MS + (days - 1) * DAY_MS)
    told["chart_hours"] = await timed(lambda key: connection.fetch(_CHART, key, since, until), keys)
    told["chart_days"] = await timed(lambda key: connection.fetch(_DAYS, key, since, until), keys)

    async def page(key: int) -> None:
        await readings(connection, key, since=since, until=until, after=(since, -1), limit=1000)

    async def whole(key: int) -> None:
        await readings(connection, key, since=since, until=until, after=(since, -1), limit=1_000_000)

    async def day_back(_: int) -> None:
        await read_back(connection, list(range(1, 51)), [-1] * 50, [evening] * 50)

    told["page_of_1000"] = await timed(page, keys)
    told["every_reading"] = await timed(whole, keys, 50)
    told["read_back_50_pumps_of_a_day"] = await timed(day_back, keys, 20)
    await connection.close()
    return told


@contextlib.asynccontextmanager
async def database(url: str | None) -> AsyncIterator[str]:
    """One of its own for this measurement, dropped afterwards."""
    with contextlib.ExitStack() as stack:
        if url is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            server = PostgresServer(Path(directory) / "postgres")
            server.start()
            stack.callback(server.stop)
            url = server.url()
        control = await asyncpg.connect(url)
        name = f"history_{time.time_ns()}"
        await control.execute(f"CREATE DATABASE {name}")
        try:
            yield database_url(url, name)
        finally:
            await control.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await control.close()


async def run(arguments: argparse.Namespace) -> None:
    async with database(arguments.url) as url:
        told = await measure(url, arguments.pumps, arguments.times, arguments.days)
    text = json.dumps(told, indent=2)
    print(text)  # noqa: T201
    if arguments.to:
        arguments.to.write_text(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.history", description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--pumps", type=int, default=23, help="generated")
    parser.add_argument("--times", type=int, default=10, help="keys under which each is stored")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--to", type=Path)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
