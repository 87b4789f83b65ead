"""A backup that was restored goes on as the original does: the walk through docs/operations.md, for real."""

import asyncio
import os
import shutil
from pathlib import Path

import asyncpg
import pytest

from service.embedded.postgres import PROGRAMS, _packages
from service.postgres import chains
from service.postgres.books import ledger
from service.postgres.migrate import pending
from tests.loops.driven import Driven, telemetry
from tests.servers import TIMESCALE_URL, database_url

FLOWS = [1.0] * 60 + [0.0] * 60 + [1.0] * 60
PUMPS = ("p1", "p2", "p3")


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
