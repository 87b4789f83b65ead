"""What stands in the tables: pumps that nobody has listed, clocks that are off."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.core.rulebook import DEFAULT_RULEBOOK
from service.postgres.alerts import AlertStore
from service.postgres.standing import look_once
from tests.episodes import at

STORE = AlertStore(DEFAULT_RULEBOOK)


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def look(connection: asyncpg.Connection, minute: float) -> list[tuple[str, str, str, str]]:
    written = await look_once(connection, STORE, at(minute))
    return [(each.subject.removeprefix("pump:"), each.condition, each.event, each.priority) for each in written]


async def test_an_unlisted_pump_has_an_alert_until_it_is_listed(connection: asyncpg.Connection) -> None:
    await connection.execute("INSERT INTO pump (pump_id, registered) VALUES ('listed', true), ('new', false)")
    assert await look(connection, 0) == [("new", "unregistered", "condition_began", "low")]
    assert await look(connection, 1) == []
    await connection.execute("UPDATE pump SET registered = true")
    assert await look(connection, 2) == [("new", "unregistered", "condition_ended", "low")]
    assert await look(connection, 3) == []


async def test_a_clock_that_is_off_has_an_alert_until_it_agrees(connection: asyncpg.Connection) -> None:
    pump = await connection.fetchval("INSERT INTO pump (pump_id, registered) VALUES ('p1', true) RETURNING pump")

    async def offset(position: int, offset_ms: int) -> None:
        await connection.execute("INSERT INTO clock_offset VALUES ($1, $2, $3)", pump, position, offset_ms)

    await offset(100, 1_700_000_000_000)
    assert await look(connection, 0) == [("p1", "clock_off", "condition_began", "low")]
    await offset(200, 1_600_000_000_000)
    assert await look(connection, 1) == [], "it is off as before, if by more"
    await offset(300, 0)
    assert await look(connection, 2) == [("p1", "clock_off", "condition_ended", "low")]
    assert await look(connection, 3) == []
    await offset(400, 5_000_000)
    assert await look(connection, 4) == [("p1", "clock_off", "condition_began", "low")]
    assert await connection.fetchval("SELECT count(*) FROM alert") == 2
