"""Clocks of nodes that differ, found by what each writes of itself."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from service.doctor import clocks
from service.doctor.finding import Level
from service.postgres.heartbeat import beat
from tests.doctor.seen import told
from tests.patience import until_found

S = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ahead_s", "level"),
    [(0.5, Level.OK), (-3, Level.WARNING), (3, Level.WARNING), (-60, Level.PROBLEM), (7, Level.PROBLEM)],
)
def test_a_difference_is_judged_by_its_size_on_either_side(ahead_s: float, level: Level) -> None:
    found = clocks.judged("node-2", ahead_s * S)
    assert found.level is level
    assert (found.do == "") is (level is Level.OK)


def test_what_asking_took_is_no_difference() -> None:
    asked_at = datetime(2026, 11, 23, tzinfo=UTC)
    (found,) = clocks.offset("the database", asked_at + 8 * S, asked_at, asked_at + 10 * S)
    assert found.level is Level.OK
    (found,) = clocks.offset("the database", asked_at + 30 * S, asked_at, asked_at + 10 * S)
    assert found.level is Level.PROBLEM


async def test_a_node_whose_clock_is_off_is_named_and_those_that_are_gone_are_not(
    connection: asyncpg.Connection, postgres_url: str
) -> None:
    other = await asyncpg.connect(postgres_url)
    await beat(other, "deliver", "gone/1", datetime.now(UTC) - 600 * S)
    stop = asyncio.Event()

    async def live(role: str, instance: str, ahead: timedelta) -> None:
        while not stop.is_set():
            async with lock:
                await beat(other, role, instance, datetime.now(UTC) + ahead)
            await asyncio.sleep(0.2)

    lock = asyncio.Lock()

    async def heard() -> bool:
        return bool(await connection.fetchval("SELECT count(*) >= 4 FROM role_heartbeat"))

    nodes = [
        live("deliver", "node-1/7", 0 * S),
        live("deliver", "node-2/7", 300 * S),
        live("ingest", "shard-0", -300 * S),
    ]
    tasks = [asyncio.create_task(node) for node in nodes]
    await asyncio.sleep(0)
    try:
        await until_found(heard, "every node to be heard")
        found = told(await clocks.of_nodes(connection))
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        await other.close()
    assert "deliver node-2/7" in found
    assert "ahead of" in found
    assert "ingest shard-0" in found
    assert "chrony" in found
    assert "node-1" not in found
    assert "gone" not in found
