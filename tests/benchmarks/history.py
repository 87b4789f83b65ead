"""How large are months of readings, how fast are more stored, and how long does it take to draw a pump's chart?

    python -m tests.benchmarks.history --url postgresql://… --rows 1e6 10e6 43.2e6 100e6 \\
        --to docs/measurements/history_timescale.json

The database server of `--url` has TimescaleDB; without it, plain PostgreSQL is started from its wheel. The readings are
those of simulated pumps, a minute apart; each generated pump is stored under several keys, one month after the other.
On TimescaleDB hours and days are kept, and weeks compressed, as soon as its own jobs would.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import numpy as np

from service.core.backtest import WireMessage
from service.core.by_stream import received_one_by_one
from service.core.decode import decode
from service.core.reading import EventType, Items
from service.core.resolution import plan
from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate
from service.postgres.partitions import make_ahead
from service.postgres.queries import readings
from service.postgres.readings import copy_in, instant, read_back
from service.postgres.series import series
from tests.servers import database_url

START_MS: Final = 1_793_491_200_000  # a whole day
DAY_MS: Final = 86_400_000
WEEK, MONTH_D = timedelta(days=7), 30
AT_ONCE: Final = 5000
RATE_OVER_ROWS: Final = 500_000
CHARTS: Final = 100
CHART_POINTS: Final = 720

_OLD_CHUNKS = """
    SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks
    WHERE hypertable_name = 'stored_reading' AND range_end <= $1 AND NOT is_compressed
"""
_IN_CHUNKS = """
    SELECT sum(total_bytes) FILTER (WHERE is_compressed)::bigint AS compressed,
        sum(total_bytes) FILTER (WHERE NOT is_compressed)::bigint AS other,
        max(range_end) FILTER (WHERE is_compressed) AS until
    FROM chunks_detailed_size('stored_reading') JOIN timescaledb_information.chunks USING (chunk_schema, chunk_name)
"""
_PLAIN_SIZE = """
    SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'stored_reading'::regclass
"""


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


class Loading:
    """Months of the same pumps, each under `times` keys, stored one after the other in the order of their coming."""

    def __init__(self, connection: asyncpg.Connection, items: Items, times: int, pumps: int, *, plain: bool) -> None:
        self._connection, self._items, self._times, self._pumps = connection, items, times, pumps
        self._plain = plain
        self._place, self._month = 0, 0
        self._weeks = 0
        self.rows = 0
        self._recent: deque[tuple[int, float]] = deque(maxlen=RATE_OVER_ROWS // AT_ONCE)
        self.spent_s = dict.fromkeys(("copying", "hours_and_days", "compressing"), 0.0)
        self.compressed_rows = 0
        self.now = instant(START_MS)

    @property
    def rate(self) -> float:
        return sum(rows for rows, _ in self._recent) / sum(seconds for _, seconds in self._recent)

    async def up_to(self, rows: int) -> None:
        while self.rows < rows:
            await self._batch()
            if self.now >= instant(START_MS) + (self._weeks + 1) * WEEK:
                self._weeks += 1
                await self._keep_up()

    async def _batch(self) -> None:
        part = AT_ONCE // self._times
        source = self._items[self._place : self._place + part]
        batch = np.tile(source, self._times)
        batch["pump"] += 1 + np.repeat(np.arange(self._times), len(source)) * self._pumps
        for name in ("measured_ms", "received_ms"):
            batch[name] += self._month * MONTH_D * DAY_MS
        batch["position"] += self._month * 1_000_000
        if self.now.date() != (now := instant(batch["received_ms"][-1])).date() or not self.rows:
            await make_ahead(self._connection, now.date() - timedelta(days=2), now.date() + timedelta(days=7))
        self.now = now
        began = time.perf_counter()
        await copy_in(self._connection, batch)
        took_s = time.perf_counter() - began
        self.spent_s["copying"] += took_s
        self._recent.append((len(batch), took_s))
        self.rows += len(batch)
        self._place += part
        if self._place >= len(self._items):
            self._place, self._month = 0, self._month + 1

    async def _keep_up(self) -> None:
        """What the database's own jobs do in time."""
        if self._plain:
            return
        until = instant(START_MS) + self._weeks * WEEK
        with self._timed("hours_and_days"):
            await self.hours_and_days(until)
        with self._timed("compressing"):
            for (chunk,) in await self._connection.fetch(_OLD_CHUNKS, until - WEEK):
                self.compressed_rows += await self._connection.fetchval(f"SELECT count(*) FROM {chunk}")
                await self._connection.execute(f"SELECT compress_chunk('{chunk}')")

    async def hours_and_days(self, until: datetime) -> None:
        for view in ("reading_hour", "reading_day"):
            await self._connection.execute(f"CALL refresh_continuous_aggregate('{view}', NULL, '{until}')")

    @contextlib.contextmanager
    def _timed(self, what: str) -> Any:
        began = time.perf_counter()
        yield
        self.spent_s[what] += time.perf_counter() - began


async def timed(ask: Callable[[int], Awaitable[Any]], keys: int, times: int = CHARTS) -> dict[str, float]:
    """How long it takes for one pump after another, in milliseconds, once each is planned."""
    took_ms = []
    for number in range(times + 10):
        began = time.perf_counter()
        await ask(1 + number * 7919 % keys)
        took_ms.append((time.perf_counter() - began) * 1000)
    p50, p99 = np.percentile(took_ms[10:], (50, 99))
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


async def size(connection: asyncpg.Connection, loading: Loading, *, plain: bool) -> dict[str, float]:
    if plain:
        return {"bytes_a_reading": round(await connection.fetchval(_PLAIN_SIZE) / loading.rows, 1)}
    told = {}
    found = await connection.fetchrow(_IN_CHUNKS)
    others = loading.rows - loading.compressed_rows
    told["bytes_a_reading_not_compressed"] = round((found["other"] or 0) / others, 1)
    if loading.compressed_rows:
        told["compressed_rows"] = loading.compressed_rows
        told["bytes_a_reading_compressed"] = round(found["compressed"] / loading.compressed_rows, 2)
        told["compression_rows_a_second"] = round(loading.compressed_rows / loading.spent_s["compressing"])
        told["hours_and_days_rows_a_second"] = round(loading.rows / loading.spent_s["hours_and_days"])
    return told


async def asked(connection: asyncpg.Connection, loading: Loading, keys: int) -> dict[str, Any]:
    """What people and restarts ask, of the newest month, and of the first."""
    until = loading.now
    since, day = max(until - timedelta(days=30), instant(START_MS)), until - timedelta(days=1)
    first = instant(START_MS), instant(START_MS) + timedelta(days=30)

    def chart(begin: datetime, end: datetime) -> Callable[[int], Awaitable[Any]]:
        drawn = plan(begin, end, CHART_POINTS, 60.0)
        return lambda key: series(connection, key, drawn, end, CHART_POINTS)

    async def page(key: int) -> None:
        await readings(connection, key, since=since, until=until, after=(since, -1), limit=1000)

    async def day_back(_: int) -> None:
        await read_back(connection, list(range(1, 51)), [-1] * 50, [day] * 50)

    return {
        "chart_of_30_days": await timed(chart(since, until), keys),
        "chart_of_the_first_30_days": await timed(chart(*first), keys),
        "chart_of_a_day": await timed(chart(day, until), keys),
        "page_of_1000": await timed(page, keys),
        "read_back_50_pumps_of_a_day": await timed(day_back, keys, 10),
    }


async def measure(url: str, pumps: int, times: int, rows: list[int]) -> AsyncIterator[dict[str, Any]]:
    """Yield what is known so far, after each number of rows."""
    await migrate(url)
    connection = await asyncpg.connect(url)
    keys = pumps * times
    await connection.execute(
        "INSERT INTO pump (pump_id) SELECT 'm' || n FROM generate_series(1, $1::integer) AS n", keys
    )
    extension = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
    told: dict[str, Any] = {
        "server": (await connection.fetchval("SHOW server_version")).split()[0],
        "timescaledb": extension,
        "pumps": keys,
        "stored": [],
    }
    loading = Loading(connection, generated(pumps, MONTH_D), times, pumps, plain=not extension)
    for most in rows:
        await loading.up_to(most)
        step = {
            "rows": loading.rows,
            "days": (loading.now - instant(START_MS)) // timedelta(days=1),
            "copy_rows_a_second": round(loading.rate),
        }
        if extension:
            await loading.hours_and_days(loading.now - timedelta(hours=2))
            await connection.execute("ANALYZE")
        else:
            await connection.execute("VACUUM ANALYZE stored_reading")
        step |= await size(connection, loading, plain=not extension)
        told["stored"].append(step | await asked(connection, loading, keys))
        yield told
    await connection.close()


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
        async for told in measure(url, arguments.pumps, arguments.times, [int(rows) for rows in arguments.rows]):
            text = json.dumps(told, indent=2)
            print(text, flush=True)  # noqa: T201
            if arguments.to:
                arguments.to.write_text(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.history", description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--pumps", type=int, default=25, help="generated")
    parser.add_argument("--times", type=int, default=40, help="keys under which each is stored")
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6], help="at how many to measure")
    parser.add_argument("--to", type=Path)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
