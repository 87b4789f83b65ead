"""The same readings give the same hours and days, on plain PostgreSQL and on TimescaleDB."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from shutil import copytree

import asyncpg
import numpy as np
import pytest

from service.core.reading import Items, Mode
from service.embedded.postgres import PostgresServer
from service.postgres import queries
from service.postgres.migrate import DIRECTORY, migrate
from service.postgres.partitions import chunk_for, drop_before, make_ahead
from service.postgres.readings import _READ_BACK, BEGINNING, copy_in, instant, read_back
from tests.postgres.stores import Store, by_url, on_pglite, without_concurrency
from tests.pumps import MINUTE_MS, NOON_MS, readings

HOUR_MS, DAY_MS = 60 * MINUTE_MS, 24 * 60 * MINUTE_MS
MIDNIGHT_MS = NOON_MS - 12 * HOUR_MS
TODAY = instant(NOON_MS).date()
VIEWS = {"reading_hour": HOUR_MS, "reading_day": DAY_MS}
QUANTITIES = ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v")


@pytest.fixture(scope="module", params=["plain", "pglite", "url"])
async def store(
    request: pytest.FixtureRequest, postgres_server_of_session: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Store]:
    """A migrated database of each kind; tests share it, each with a pump of its own."""
    async with AsyncExitStack() as stack:
        if request.param == "plain":
            found = Store("plain", await stack.enter_async_context(on_plain(postgres_server_of_session, "same_names")))
        elif request.param == "pglite":
            assert request.config.cache is not None
            directory = request.config.cache.mkdir("pglite")
            found = Store("pglite", await stack.enter_async_context(on_pglite(directory)), copies=False)
        else:
            found = Store("url", await stack.enter_async_context(by_url()))
        whole = without_concurrency(tmp_path_factory.mktemp("migrations") / "each") if not found.copies else DIRECTORY
        await migrate(found.url, whole)
        yield found


@pytest.fixture
async def connection(store: Store) -> AsyncIterator[asyncpg.Connection]:
    connection = await store.connect()
    yield connection
    await connection.close()


@pytest.fixture
async def pump(connection: asyncpg.Connection, request: pytest.FixtureRequest) -> int:
    """A pump that is this test's alone."""
    name = request.node.originalname.replace("[", "-")[-64:]
    return await connection.fetchval("INSERT INTO pump (pump_id) VALUES ($1) RETURNING pump", name)


def uneven(pump: int) -> Items:
    """Two days and a bit of one pump: every minute, then every five, with a gap of hours and a burst of seconds."""
    draws = np.random.default_rng(7)
    parts = [
        readings(700, pump=pump, start_ms=MIDNIGHT_MS, flow=draws.normal(1, 0.15, 700)),
        readings(200, pump=pump, start_ms=MIDNIGHT_MS + 16 * HOUR_MS, spacing_ms=5 * MINUTE_MS, mode=Mode.MINIMUM),
        readings(90, pump=pump, start_ms=MIDNIGHT_MS + 40 * HOUR_MS + 17, spacing_ms=1000, flow=draws.random(90) * 3),
        readings(1, pump=pump, start_ms=MIDNIGHT_MS + 50 * HOUR_MS, battery_v=2.41),
    ]
    items = np.concatenate(parts)
    items["position"] = (1 << 40) + np.arange(len(items))
    return items


def expected(items: Items, width_ms: int) -> dict[int, dict[str, float]]:
    """What an hour or a day should say, worked out here from the readings."""
    rows: dict[int, dict[str, float]] = {}
    buckets = items["measured_ms"] // width_ms * width_ms
    for bucket in np.unique(buckets):
        part = items[buckets == bucket]
        row: dict[str, float] = {
            "readings": len(part),
            "first_at": part["measured_ms"][0],
            "last_at": part["measured_ms"][-1],
            "mode_last": part["mode"][-1],
            "delivered_by_flow_ul": np.nan,
        }
        for name in QUANTITIES:
            values = part[name].astype(np.float32)
            row |= {f"{name}_first": values[0], f"{name}_last": values[-1], f"{name}_mean": values.mean()}
            row |= {f"{name}_min": values.min(), f"{name}_max": values.max()}
        if len(part) > 1:
            spans_ms = np.diff(part["measured_ms"])
            spans_d = np.concatenate([spans_ms[:1], spans_ms]) / DAY_MS
            row["delivered_by_flow_ul"] = float(np.sum(part["flow_ml_d"] * spans_d) * 1000)
        rows[int(bucket)] = row
    return rows


async def held(connection: asyncpg.Connection, view: str, pump: int) -> dict[int, dict[str, float]]:
    rows = {}
    for found in await connection.fetch(f"SELECT * FROM {view} WHERE pump = $1 ORDER BY bucket_at", pump):
        row = {name: np.nan if value is None else value for name, value in found.items()}
        for name in ("bucket_at", "first_at", "last_at"):
            row[name] = round(row[name].timestamp() * 1000)
        bucket = row.pop("bucket_at")
        rows[bucket] = {name: value for name, value in row.items() if name != "pump"}
    return rows


@asynccontextmanager
async def on_plain(server: PostgresServer, name: str) -> AsyncIterator[str]:
    control = await asyncpg.connect(server.url())
    await control.execute(f"CREATE DATABASE {name}")
    try:
        yield server.url(name)
    finally:
        await control.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await control.close()


async def settle_down(store: Store, connection: asyncpg.Connection) -> None:
    """What TimescaleDB's own jobs do in time: compress, and keep hours and days."""
    if store.timescale:
        await connection.fetch("SELECT compress_chunk(chunk, true) FROM show_chunks('stored_reading') AS chunk")
        for view in VIEWS:
            await connection.execute(f"CALL refresh_continuous_aggregate('{view}', NULL, NULL)")


async def test_hours_and_days_say_what_the_readings_say(
    store: Store, connection: asyncpg.Connection, pump: int
) -> None:
    items = uneven(pump)
    await store.put(connection, items[:-1])
    for at_once in (True, False):
        for view, width_ms in VIEWS.items():
            rows, wanted = await held(connection, view, pump), expected(items[:-1] if at_once else items, width_ms)
            assert list(rows) == list(wanted)
            for bucket, row in wanted.items():
                assert rows[bucket] == pytest.approx(row, rel=1e-6, abs=1e-9, nan_ok=True), (view, bucket)
        if at_once:
            await store.put(connection, items[-1:])
            await settle_down(store, connection)


async def test_a_page_of_readings_is_the_same_before_and_after_compression(
    store: Store, connection: asyncpg.Connection, pump: int
) -> None:
    items = uneven(pump)
    await store.put(connection, items)
    for _ in range(2):
        page = await queries.readings(
            connection,
            pump,
            since=instant(MIDNIGHT_MS),
            until=instant(MIDNIGHT_MS + DAY_MS),
            after=(instant(items["measured_ms"][9]), int(items["position"][9])),
            limit=500,
        )
        assert [row["position"] for row in page] == items["position"][10:510].tolist()
        assert [row["flow_ml_d"] for row in page] == pytest.approx(items["flow_ml_d"][10:510].tolist(), rel=1e-6)
        await settle_down(store, connection)


async def test_what_comes_late_is_stored_beside_what_is_compressed_and_nothing_is_stored_twice(
    store: Store, connection: asyncpg.Connection, pump: int
) -> None:
    items = readings(60, pump=pump, start_ms=MIDNIGHT_MS)
    early, late = items[items["position"] % 2 == 0], items[items["position"] % 2 == 1]
    await store.put(connection, early)
    await settle_down(store, connection)
    await store.put(connection, late)
    with pytest.raises(asyncpg.UniqueViolationError):
        await store.put(connection, early[3:4])
    await settle_down(store, connection)
    assert await connection.fetchval("SELECT readings FROM reading_hour WHERE pump = $1", pump) == 60
    if store.copies:
        back = await read_back(connection, [pump], [int(items["position"][9])], [BEGINNING])
        assert back["position"].tolist() == items["position"][10:].tolist()


async def test_retention_takes_old_days_and_nothing_else(
    store: Store, connection: asyncpg.Connection, pump: int
) -> None:
    old = TODAY - timedelta(days=30)
    await make_ahead(connection, old, old)
    await store.put(connection, readings(3, pump=pump, start_ms=NOON_MS - 30 * DAY_MS))
    await store.put(connection, readings(3, pump=pump, start_ms=NOON_MS))
    assert len(await drop_before(connection, TODAY - timedelta(days=10))) == 1
    kept = await connection.fetchval("SELECT min(measured_at) FROM reading WHERE pump = $1", pump)
    assert kept == instant(NOON_MS)


_DAYS_READ = r"Scan.* (?:_hyper_\w+_chunk|stored_reading_\d{8}) "


async def test_a_restart_reads_no_more_days_than_it_must(
    store: Store, connection: asyncpg.Connection, pump: int
) -> None:
    starts_ms = [NOON_MS + days * DAY_MS for days in (60, 90, 120)]
    for start_ms in starts_ms:
        day = instant(start_ms).date()
        await make_ahead(connection, day, day)
        await store.put(connection, readings(3, pump=pump, start_ms=start_ms, first_seq=start_ms // DAY_MS))
    last = instant(starts_ms[-1])
    plan = await connection.fetch(f"EXPLAIN {_READ_BACK}", [pump], [0], [last], last - timedelta(days=1))
    assert len(re.findall(_DAYS_READ, "\n".join(row[0] for row in plan))) == 1


async def test_hours_of_a_span_are_worked_out_from_its_days_alone(
    store: Store, connection: asyncpg.Connection, pump: int
) -> None:
    for days in (200, 230, 260):
        start_ms = NOON_MS + days * DAY_MS
        day = instant(start_ms).date()
        await make_ahead(connection, day, day)
        await store.put(connection, readings(3, pump=pump, start_ms=start_ms, first_seq=days * 10))
    for view in VIEWS:
        query = f"SELECT * FROM {view} WHERE pump = $1 AND bucket_at >= $2 AND bucket_at < $3"
        span = instant(start_ms - 12 * HOUR_MS), instant(start_ms + 12 * HOUR_MS)
        assert [row["readings"] for row in await connection.fetch(query, pump, *span)] == [3]
        plan = await connection.fetch(f"EXPLAIN (ANALYZE) {query}", pump, *span)
        read = [row[0] for row in plan if re.search(_DAYS_READ, row[0]) and "never executed" not in row[0]]
        assert len(read) == 1, read


async def test_the_keepers_of_hours_days_and_columns_are_at_work(store: Store, connection: asyncpg.Connection) -> None:
    if not store.timescale:
        pytest.skip("plain PostgreSQL keeps none")
    jobs = await connection.fetch("SELECT proc_name, hypertable_name FROM timescaledb_information.jobs")
    names = sorted(row["proc_name"] for row in jobs)
    assert names.count("policy_refresh_continuous_aggregate") == 2
    assert names.count("policy_compression") == 1


async def test_a_chunk_is_as_long_as_is_asked_or_suits_the_fleet(store: Store, connection: asyncpg.Connection) -> None:
    if not store.timescale:
        pytest.skip("plain PostgreSQL has a partition a day")
    for asked, found in ((timedelta(hours=9), timedelta(hours=9)), (None, timedelta(days=7))):
        await make_ahead(connection, TODAY, TODAY, asked)
        chunk = await connection.fetchval(
            "SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = 'stored_reading'"
        )
        assert chunk == found


async def test_when_the_fleet_grows_the_next_chunks_are_shorter(store: Store, connection: asyncpg.Connection) -> None:
    if not store.timescale:
        pytest.skip("plain PostgreSQL has a partition a day")
    ranges = """
        SELECT range_end - range_start FROM timescaledb_information.chunks
        WHERE hypertable_name = 'stored_reading' AND range_start > $1 ORDER BY range_start DESC LIMIT 1
    """
    for pumps, days, expected in ((0, 400, timedelta(days=7)), (20_000, 500, timedelta(hours=12))):
        await connection.execute(
            "INSERT INTO pump (pump_id, interval_s) SELECT 'grown-' || n, 60 FROM generate_series(1, $1::int) AS n",
            pumps,
        )
        await make_ahead(connection, TODAY, TODAY)
        start_ms = NOON_MS + days * DAY_MS
        await store.put(connection, readings(1, pump=1, start_ms=start_ms, first_seq=days))
        assert await connection.fetchval(ranges, instant(start_ms - 8 * DAY_MS)) == expected
    await connection.execute("DELETE FROM pump WHERE pump_id LIKE 'grown-%'")


@pytest.mark.parametrize(
    ("pumps", "chunk"), [(0, timedelta(days=7)), (1000, timedelta(days=7)), (10_000, timedelta(days=1))]
)
def test_a_larger_fleet_has_shorter_chunks_down_to_six_hours(pumps: int, chunk: timedelta) -> None:
    assert chunk_for(pumps * 1440.0) == chunk
    assert chunk_for(1e12) == timedelta(hours=6)


@pytest.mark.parametrize("kind", ["plain", "url"])
async def test_readings_that_were_there_before_are_still_there(
    kind: str, tmp_path: Path, postgres_server_of_session: PostgresServer
) -> None:
    """As version 0.1.0 stored them: fractions, in partitions."""
    directory = copytree(DIRECTORY, tmp_path / "before")
    for file in directory.glob("*.sql"):
        if int(file.name[:4]) > 8:
            file.unlink()
    async with AsyncExitStack() as stack:
        database = on_plain(postgres_server_of_session, "of_before") if kind == "plain" else by_url()
        url = await stack.enter_async_context(database)
        await migrate(url, directory)
        connection = await asyncpg.connect(url)
        stack.push_async_callback(connection.close)
        key = await connection.fetchval("INSERT INTO pump (pump_id) VALUES ('a') RETURNING pump")
        await connection.execute(
            f"CREATE TABLE reading_{TODAY:%Y%m%d} PARTITION OF reading"
            f" FOR VALUES FROM ('{TODAY}T00:00Z') TO ('{TODAY + timedelta(days=1)}T00:00Z')"
        )
        items = uneven(key)
        await Store(kind, url, copies=False).put(connection, items)
        await migrate(url)
        later = readings(3, pump=key, start_ms=NOON_MS + DAY_MS * 3, first_seq=2000)
        await make_ahead(connection, TODAY, TODAY + timedelta(days=4))
        await copy_in(connection, later)
        back = await read_back(connection, [key], [-1], [BEGINNING])
        expected_back = np.concatenate([items, later])
        for name in ("position", "measured_ms", "received_ms", "mode", *QUANTITIES):
            assert back[name].tolist() == expected_back[name].tolist(), name
        hours = await held(connection, "reading_hour", key)
        assert list(hours) == list(expected(expected_back, HOUR_MS))
        gone = await drop_before(connection, TODAY + timedelta(days=1))
        assert gone
        kept = await connection.fetchval("SELECT min(measured_at) FROM reading")
        assert kept >= instant(MIDNIGHT_MS + DAY_MS)
