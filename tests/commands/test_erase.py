"""`pumpwatch erase`: a pump is forgotten by whoever says why, and means it."""

import asyncpg

from tests.commands.here import ran_beside


async def test_a_pump_is_erased_when_that_is_said_twice(connection: asyncpg.Connection, postgres_url: str) -> None:
    key = await connection.fetchval("INSERT INTO pump (pump_id) VALUES ('p') RETURNING pump")
    await connection.execute("INSERT INTO verdict VALUES ($1, 'stall', 'holds', now())", key)
    erase = ("erase", "p", "--database-url", postgres_url, "--reason")
    assert "would be forgotten for good" in (await ran_beside(*erase, "asked for")).err
    refused = await ran_beside(*erase, "asked for", "--yes")
    assert (refused.code, "in service" in refused.err) == (1, True)
    await connection.execute("UPDATE pump SET in_service = false")
    assert (await ran_beside(*erase, " ", "--yes")).code == 2
    done = await ran_beside(*erase, "asked for", "--yes")
    assert (done.code, done.err) == (0, "")
    assert ["verdict", "1"] in [line.split() for line in done.out.splitlines()]
    assert (await ran_beside(*erase, "asked for", "--yes")).err == "p: no such pump\n"
    assert await connection.fetchval("SELECT detail->>'reason' FROM audit") == "asked for"
