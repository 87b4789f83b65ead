"""A pump that was erased is nowhere, and nobody else misses anything."""

import asyncio
import json
from datetime import timedelta

import asyncpg
import numpy as np
import pytest

from service.ports import FencedError
from service.postgres import chains
from service.postgres.erasure import ErasureRefusedError, erase
from service.postgres.partitions import is_plain, make_ahead
from service.postgres.putting import put
from service.postgres.queries import key_of
from service.postgres.readings import instant
from tests.loops.driven import Driven, telemetry
from tests.pumps import NOON_MS, readings

PUMP, OTHER = "to-be-forgotten", "to-stay"
NOW = instant(NOON_MS)
STALLING = [1.0] * 60 + [0.0] * 60


@pytest.fixture
async def driven(postgres_url: str) -> Driven:
    driven = Driven(postgres_url)
    await driven.start()
    yield driven
    await driven.store.close()


async def told_and_over(driven: Driven, connection: asyncpg.Connection) -> None:
    """Two pumps with all that a pump can have, one of them out of service with everything resolved."""
    endpoint = await connection.fetchval(
        "INSERT INTO endpoint (name, url, secret, accepts_simulated) VALUES ('e', 'https://e', '', true) RETURNING id"
    )
    assert endpoint is not None
    for pump_id in (PUMP, OTHER):
        driven.send(pump_id, telemetry(0, STALLING))
        driven.send(pump_id, telemetry(125, [1.0] * 60))
        driven.send(pump_id, telemetry(0, [1.0]) | {"mode": ["?"]})
        driven.send(
            pump_id, {"boot": 1, "seq": 185, "time_ms": NOON_MS, "held_from": [1, 0], "type": "mri_ended"}, "event"
        )
    await driven.turn()
    await driven.wait_ms(60_000)
    await driven.ingester.run("test", _set())
    await connection.execute("UPDATE pump SET in_service = false, drug = 'of ' || pump_id WHERE pump_id = $1", PUMP)
    await connection.execute("UPDATE alert SET state = 'resolved' FROM pump WHERE pump.pump = alert.pump")
    await connection.execute(
        "INSERT INTO rule_override (scope, name, section, key, value, reason, author, made_at, expires_at)"
        " VALUES ('pump', $1, 'stall', 'enabled', 'true', '', '', $2, $2)",
        *(PUMP, NOW),
    )


def _set() -> asyncio.Event:
    stop = asyncio.Event()
    stop.set()
    return stop


async def everything(connection: asyncpg.Connection, text: str) -> dict[str, int]:
    """In how many rows of each table a text is."""
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    found = {}
    for (table,) in tables:
        if count := await connection.fetchval(
            f"SELECT count(*) FROM {table} AS t WHERE position($1 IN t::text) > 0"
            " OR position(encode(convert_to($1, 'UTF8'), 'hex') IN t::text) > 0",
            text,
        ):
            found[table] = count
    return found


async def rows_of(connection: asyncpg.Connection, key: int) -> dict[str, int]:
    tables = await connection.fetch(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND column_name = 'pump'"
    )
    counts = {
        table: await connection.fetchval(f"SELECT count(*) FROM {table} WHERE pump = $1", key) for (table,) in tables
    }
    return {table: count for table, count in counts.items() if count}


async def test_what_was_erased_is_in_no_table_and_the_others_miss_nothing(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told_and_over(driven, connection)
    key, other = await key_of(connection, PUMP), await key_of(connection, OTHER)
    assert key is not None
    assert other is not None
    before = await rows_of(connection, other)
    assert {"stored_reading", "event", "gap", "rule_checkpoint", "pump_latest", "verdict", "alert"} <= set(before)
    assert set(await rows_of(connection, key)) == set(before)
    assert {"quarantine", "notification", "alert", "pump"} <= set(await everything(connection, PUMP))

    gone = await erase(connection, PUMP, "asked for", "somebody", NOW)
    assert gone is not None
    assert (gone["stored_reading"], gone["event"], gone["quarantine"]) == (180, 1, 1)
    assert await everything(connection, PUMP) == {"audit": 1}
    assert set(await rows_of(connection, key)) == {"pump", "alert"}
    assert await rows_of(connection, other) == before
    alert = await connection.fetchrow("SELECT subject, evidence::text, version FROM alert WHERE pump = $1", key)
    assert json.loads(alert["evidence"]).keys() == {"step", "erased"}
    assert alert["subject"] == f"pump:erased-{key}"
    assert await connection.fetchval("SELECT count(*) FROM reading_hour WHERE pump = $1", key) == 0
    assert (await chains.verify(connection)).problems == []
    said = await connection.fetchrow("SELECT actor, action, detail::text FROM audit ORDER BY id DESC LIMIT 1")
    assert (said["actor"], said["action"], json.loads(said["detail"])["reason"]) == (
        "somebody",
        "pump_erased",
        "asked for",
    )
    assert await erase(connection, PUMP, "again", "somebody", NOW) is None


async def test_what_is_compressed_and_kept_as_hours_and_days_goes_as_well(connection: asyncpg.Connection) -> None:
    keys = [
        row["pump"]
        for row in await connection.fetch(
            "INSERT INTO pump (pump_id, in_service) VALUES ($1, false), ($2, true) RETURNING pump", PUMP, OTHER
        )
    ]
    long_ago = NOW - timedelta(days=20)
    await make_ahead(connection, long_ago.date(), long_ago.date() + timedelta(days=2))
    items = np.concatenate([readings(2_000, pump=key, start_ms=NOON_MS - 20 * 86_400_000) for key in keys])
    await put(connection, items, [], long_ago)
    await put(connection, readings(10, pump=keys[0], start_ms=NOON_MS - 25 * 86_400_000, first_seq=5_000), [], NOW)
    if not await is_plain(connection):
        await connection.fetch("SELECT compress_chunk(chunk, true) FROM show_chunks('stored_reading') AS chunk")
        for view in ("reading_hour", "reading_day"):
            await connection.execute(f"CALL refresh_continuous_aggregate('{view}', NULL, NULL)")
    before = await connection.fetch("SELECT * FROM reading_hour WHERE pump = $1 ORDER BY bucket_at", keys[1])
    gone = await erase(connection, PUMP, "asked for", "somebody", NOW)
    assert gone is not None
    assert (gone["stored_reading"], gone["late_reading"]) == (2_000, 10)
    for source in ("reading", "reading_hour", "reading_day"):
        assert await connection.fetchval(f"SELECT count(*) FROM {source} WHERE pump = $1", keys[0]) == 0, source
    assert await connection.fetch("SELECT * FROM reading_hour WHERE pump = $1 ORDER BY bucket_at", keys[1]) == before
    assert await connection.fetchval("SELECT count(*) FROM reading WHERE pump = $1", keys[1]) == 2_000


async def test_an_ingester_that_has_it_in_memory_ends_and_begins_anew_without_it(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.send(PUMP, telemetry(0, [1.0] * 10))
    driven.send(OTHER, telemetry(0, [1.0] * 10))
    await driven.turn()
    key = await key_of(connection, PUMP)
    await connection.execute("UPDATE pump SET in_service = false WHERE pump_id = $1", PUMP)
    await erase(connection, PUMP, "asked for", "somebody", NOW)
    driven.send(PUMP, telemetry(10, [1.0] * 5, held_from=(1, 10)))
    queued = list(driven.feed.queue)
    with pytest.raises(FencedError):
        await driven.turn()
    await driven.restart()
    driven.feed.queue = queued
    await driven.turn()
    assert (await key_of(connection, PUMP)) not in {None, key}, "what it sends now is of a pump that nobody knows"
    assert await connection.fetchval("SELECT count(*) FROM stored_reading WHERE pump = $1", key) == 0
    assert await connection.fetchval("SELECT count(*) FROM stored_reading") == 15


async def test_a_pump_that_is_watched_is_not_erased(driven: Driven, connection: asyncpg.Connection) -> None:
    driven.send(PUMP, telemetry(0, STALLING))
    await driven.turn()
    with pytest.raises(ErasureRefusedError, match="in service"):
        await erase(connection, PUMP, "", "somebody", NOW)
    await connection.execute("UPDATE pump SET in_service = false")
    with pytest.raises(ErasureRefusedError, match="1 alerts of to-be-forgotten are open"):
        await erase(connection, PUMP, "", "somebody", NOW)
    assert await connection.fetchval("SELECT count(*) FROM reading") == 120
    assert await erase(connection, "nobody", "", "somebody", NOW) is None
