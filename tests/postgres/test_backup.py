"""A backup that was restored goes on as the original does: the walk through docs/operations.md, for real."""

import asyncio
import os
import shutil
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from service.embedded.postgres import PROGRAMS, _packages
from service.loops.maintain import Slices, merge_some
from service.postgres import chains
from service.postgres.books import ledger
from service.postgres.housekeeping import PostgresHousekeeping
from service.postgres.migrate import pending
from service.postgres.partitions import is_plain, make_ahead
from service.postgres.putting import put
from service.postgres.readings import copy_in, instant
from tests.loops.driven import Driven, telemetry
from tests.pumps import NOON_MS, readings
from tests.servers import TIMESCALE_URL, database_url

FLOWS = [1.0] * 60 + [0.0] * 60 + [1.0] * 60
PUMPS = ("p1", "p2", "p3")
DAY_MS = 86_400_000


def program(name: str) -> str:
    """Of the server's own version: that of the wheel, or where the server is another one, that of the machine."""
    if not os.environ.get(TIMESCALE_URL):
        return str(_packages() / PROGRAMS / name)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on this machine")
    return found


async def run(*words: object) -> None:
    process = await asyncio.create_subprocess_exec(*map(str, words), stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


async def backup(url: str, file: Path) -> None:
    await run(program("pg_dump"), "--format=custom", "--no-owner", f"--file={file}", url)


async def restored(control_url: str, file: Path, name: str) -> str:
    """What docs/operations.md says: an empty database, and all of it in."""
    control = await asyncpg.connect(control_url)
    await control.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    await control.close()
    url = database_url(control_url, name)
    connection = await asyncpg.connect(url)
    timescale = bool(os.environ.get(TIMESCALE_URL))
    if timescale:
        await connection.execute("CREATE EXTENSION timescaledb")
        await connection.fetch("SELECT timescaledb_pre_restore()")
    await run(program("pg_restore"), "--no-owner", "--exit-on-error", f"--dbname={url}", file)
    if timescale:
        await connection.fetch("SELECT timescaledb_post_restore()")
    await connection.close()
    return url


async def alerts(url: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "SELECT pump_id, condition, priority, state, began_at, detected_at, ended_at, detected_position, reason,"
        " evidence FROM alert JOIN pump USING (pump) ORDER BY 1, 2, 5"
    )
    await connection.close()
    return [tuple(row) for row in rows]


async def go_on(url: str, now_ms: int) -> tuple[list[tuple[object, ...]], list[bytes], set[object]]:
    """An ingester over it, to which the pumps send again what has no receipt, and then what follows."""
    driven = Driven(url)
    driven.now_ms = now_ms
    await driven.start()
    for number, pump_id in enumerate(PUMPS):
        driven.send(pump_id, telemetry(60, FLOWS[60:100]))
        driven.send(pump_id, telemetry(100, FLOWS[100 : 150 + number]))
    await driven.turn()
    await driven.wait_ms(20_000)
    states = [driven.fleet.state[driven.fleet.row_of[pump_id.encode()]].tobytes() for pump_id in PUMPS]
    await driven.store.close()
    return await alerts(url), states, set(driven.feed.receipts)


async def test_an_ingester_on_a_restored_backup_raises_the_alerts_of_one_that_never_stopped(
    postgres_url: str, control_url: str, tmp_path: Path
) -> None:
    driven = Driven(postgres_url)
    await driven.start()
    for pump_id in PUMPS:
        driven.send(pump_id, telemetry(0, FLOWS[:30]))
    await driven.turn()
    await driven.wait_ms(61_000)  # the checkpoints are of here
    for pump_id in PUMPS:
        driven.send(pump_id, telemetry(30, FLOWS[30:80]))
        driven.send(pump_id, telemetry(0, [1.0]) | {"mode": ["?"]})
    await driven.turn()
    await backup(postgres_url, tmp_path / "pumpwatch.dump")
    now_ms = driven.now_ms
    await driven.store.close()

    name = f"restored_{tmp_path.name.replace('-', '_')}_{os.getpid()}"
    url = await restored(control_url, tmp_path / "pumpwatch.dump", name)
    try:
        assert await pending(url) == []
        connection = await asyncpg.connect(url)
        assert (await chains.verify(connection)).problems == []
        stored = await connection.fetch("SELECT pump_id, count(*) AS n FROM reading JOIN pump USING (pump) GROUP BY 1")
        assert {row["pump_id"]: row["n"] for row in stored} == dict.fromkeys(PUMPS, 80)
        assert await go_on(url, now_ms) == await go_on(postgres_url, now_ms)
        found = await alerts(url)
        assert [(alert[0], alert[1]) for alert in found] == [(pump_id, "stall") for pump_id in PUMPS]
        key = await connection.fetchval("SELECT pump FROM pump WHERE pump_id = 'p1'")
        assert (await ledger(connection, key, "p1")).books.completeness == 1.0
        await connection.close()
    finally:
        control = await asyncpg.connect(control_url)
        await control.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await control.close()


async def looks(connection: asyncpg.Connection) -> dict[str, list[tuple[object, ...]]]:
    """What readers are shown, and on TimescaleDB how it is kept."""
    asked = {
        "reading": "SELECT * FROM reading ORDER BY pump, measured_at, position",
        "hours": "SELECT pump, bucket_at, readings, flow_ml_d_max FROM reading_hour ORDER BY 1, 2",
        "days": "SELECT pump, bucket_at, readings, reservoir_ml_last FROM reading_day ORDER BY 1, 2",
    }
    if not await is_plain(connection):
        asked["chunks"] = (
            "SELECT range_start, range_end, is_compressed FROM timescaledb_information.chunks"
            " WHERE hypertable_name = 'stored_reading' ORDER BY 1"
        )
        asked["jobs"] = (
            "SELECT proc_name, schedule_interval, config::text, scheduled FROM timescaledb_information.jobs"
            " WHERE hypertable_name IS NOT NULL ORDER BY 1, 3"
        )
    return {what: [tuple(row) for row in await connection.fetch(query)] for what, query in asked.items()}


async def settle_down(connection: asyncpg.Connection) -> None:
    """What TimescaleDB's own jobs do in time."""
    if not await is_plain(connection):
        await connection.fetch("SELECT compress_chunk(chunk, true) FROM show_chunks('stored_reading') AS chunk")
        for view in ("reading_hour", "reading_day"):
            await connection.execute(f"CALL refresh_continuous_aggregate('{view}', NULL, NULL)")


async def test_what_is_compressed_and_kept_by_the_hour_is_so_after_a_restore_and_takes_what_comes(
    postgres_url: str, connection: asyncpg.Connection, control_url: str, tmp_path: Path
) -> None:
    now, long_ago = instant(NOON_MS), instant(NOON_MS) - timedelta(days=20)
    key = await connection.fetchval("INSERT INTO pump (pump_id) VALUES ('a') RETURNING pump")
    await make_ahead(connection, long_ago.date(), now.date())
    items = readings(3_000, pump=key, start_ms=NOON_MS - 20 * DAY_MS)
    is_late = items["position"] % 7 == 0
    await put(connection, items[~is_late], [], long_ago)
    await settle_down(connection)
    await put(connection, items[is_late], [], now)
    await put(connection, readings(60, pump=key, start_ms=NOON_MS, first_seq=5_000), [], now)
    before = await looks(connection)
    await backup(postgres_url, tmp_path / "pumpwatch.dump")
    name = f"kept_{os.getpid()}"
    url = await restored(control_url, tmp_path / "pumpwatch.dump", name)
    try:
        async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool, pool.acquire() as other:
            assert await looks(other) == before
            await copy_in(other, readings(60, pump=key, start_ms=NOON_MS + DAY_MS, first_seq=6_000))
            housekeeping = PostgresHousekeeping(pool)
            assert not await merge_some(housekeeping, lambda: now, Slices(), asyncio.Event())
            assert await other.fetchval("SELECT count(*) FROM late_reading") == 0
            await settle_down(other)
            assert await other.fetchval("SELECT sum(readings) FROM reading_hour") == 3_120
            assert await other.fetchval("SELECT count(*) FROM reading") == 3_120
    finally:
        control = await asyncpg.connect(control_url)
        await control.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await control.close()


async def test_what_was_stored_on_plain_postgresql_moves_to_timescaledb(
    plain_postgres_url: str, postgres_url: str, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    """As docs/operations.md says, with the programs of the server that is left."""
    if await is_plain(connection):
        pytest.skip(f"no {TIMESCALE_URL}=postgresql://… of a TimescaleDB to move to")
    driven = Driven(plain_postgres_url)
    await driven.start()
    for pump_id in PUMPS:
        driven.send(pump_id, telemetry(0, FLOWS))
        driven.send(pump_id, telemetry(0, [1.0]) | {"mode": ["?"]})
    await driven.turn()
    await driven.wait_ms(61_000)
    await driven.store.close()
    source = await asyncpg.connect(plain_postgres_url)
    before = await looks(source)
    await source.close()

    file = tmp_path / "data.dump"
    programs = _packages() / PROGRAMS
    words = ("--format=custom", "--data-only", "--load-via-partition-root", "--exclude-table=migration")
    await run(programs / "pg_dump", *words, f"--file={file}", plain_postgres_url)
    process = await asyncio.create_subprocess_exec(
        *map(str, (programs / "pg_restore", "--data-only", "--no-owner", f"--dbname={postgres_url}", file)),
        env=os.environ | {"PGOPTIONS": "-c session_replication_role=replica"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    # A newer program sets what an older server does not know.
    errors = [line for line in said.decode().splitlines() if "ERROR" in line and "transaction_timeout" not in line]
    assert errors == []
    for at_once in (True, False):
        after = await looks(connection)
        assert {what: after[what] for what in before} == before
        if at_once:
            await settle_down(connection)
    assert (await chains.verify(connection)).problems == []
    assert await alerts(postgres_url) == await alerts(plain_postgres_url)
    driven = Driven(postgres_url)
    driven.now_ms += 120_000
    await driven.start()
    driven.send("p1", telemetry(len(FLOWS), [1.0] * 10))
    driven.send("p4", telemetry(0, [1.0] * 10))
    await driven.turn()
    await driven.wait_ms(20_000)
    assert {("p1", 1, len(FLOWS) + 9), ("p4", 1, 9)} <= set(driven.feed.receipts)
    await driven.store.close()


async def test_what_was_receipted_after_the_backup_is_named_by_the_ledger(
    postgres_url: str, control_url: str, tmp_path: Path
) -> None:
    driven = Driven(postgres_url)
    await driven.start()
    driven.send("p1", telemetry(0, FLOWS[:30]))
    await driven.turn()
    await backup(postgres_url, tmp_path / "pumpwatch.dump")
    await driven.store.close()
    name = f"gone_{os.getpid()}"
    url = await restored(control_url, tmp_path / "pumpwatch.dump", name)
    try:
        late = Driven(url)
        await late.start()
        # The pump holds a receipt for the readings up to 49: it has forgotten them.
        late.send("p1", telemetry(50, FLOWS[50:60], held_from=(1, 50)))
        await late.turn()
        await late.store.close()
        connection = await asyncpg.connect(url)
        books = (await ledger(connection, 1, "p1")).books
        assert [(span.items, str(span.where)) for span in books.missing] == [(20, "lost")]
        await connection.close()
    finally:
        control = await asyncpg.connect(control_url)
        await control.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await control.close()
