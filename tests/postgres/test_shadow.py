"""Rows of what is in shadow: written once, ended with the condition, and made anew when a pump is rebuilt."""

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from service.core.change import Change, Condition, Priority, Ruled, Standing, Turn
from service.postgres.shadow import newest, record, rewrite
from tests.episodes import at

BEGAN = Change(
    pump=1,
    condition=Condition.BATTERY_LOW,
    turn=Turn.BEGAN,
    step=1,
    position=10,
    at_ms=1_000,
    began_ms=500,
    received_ms=1_000,
    evidence={"battery_v": 2.5},
    ruled=Ruled("v1", Priority.LOW, Standing.SHADOW),
)
ROSE = replace(BEGAN, turn=Turn.ROSE, step=3, position=11, ruled=Ruled("v1", Priority.HIGH, Standing.SHADOW))
ENDED = replace(BEGAN, turn=Turn.ENDED, position=12, at_ms=3_000)


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("INSERT INTO pump (pump_id) VALUES ('p1')")
    yield connection
    await connection.close()


async def shown(connection: asyncpg.Connection) -> list[tuple[str, str, bool]]:
    rows = await newest(connection, None, None, 10)
    return [(row["pump_id"], row["priority"], row["ended_at"] is not None) for row in rows]


async def test_an_episode_is_one_row_however_often_it_is_written(connection: asyncpg.Connection) -> None:
    for _ in range(2):
        await record(connection, [BEGAN, ROSE], at(0))
    assert await shown(connection) == [("p1", "high", False)]
    await record(connection, [ENDED, ENDED], at(1))
    assert await shown(connection) == [("p1", "high", True)]
    (row,) = await newest(connection, "battery_low", "p1", 10)
    assert (row["evidence"], row["rulebook_version"]) == ({"battery_v": 2.5, "step": 1}, "v1")
    assert await newest(connection, "stall", None, 10) == []


async def test_a_rebuilt_pump_has_the_episodes_of_in_order_arrival(connection: asyncpg.Connection) -> None:
    await record(connection, [BEGAN, ENDED, replace(BEGAN, position=20)], at(0))
    await rewrite(connection, 1, 11, [replace(ROSE, position=15), replace(ENDED, position=18)], at(1))
    assert await shown(connection) == [("p1", "high", True)]
    await rewrite(connection, 1, 5, [], at(2))
    assert await shown(connection) == []
