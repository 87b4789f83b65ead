"""`pumpwatch boot`: whoever knows why a pump's boot has leapt accepts it."""

import asyncpg

from tests.commands.here import ran_beside


async def test_a_boot_is_accepted_with_its_reason(connection: asyncpg.Connection, postgres_url: str) -> None:
    await connection.execute("INSERT INTO pump (pump_id) VALUES ('p')")
    own = ("--database-url", postgres_url, "--reason")
    done = await ran_beside("boot", "p", "70000", *own, "its counter leapt")
    assert (done.code, done.err, done.out) == (0, "", "p: what comes of boot 70000 is taken from now on\n")
    assert await connection.fetchval("SELECT boot FROM accepted_boot") == 70_000
    assert (await ran_beside("boot", "p", "5", *own, "mistyped")).code == 1
    assert (await ran_beside("boot", "q", "70000", *own, "nobody")).err == "q: no such pump\n"
    assert (await ran_beside("boot", "p", "70000", *own, " ")).code == 2
    assert (await ran_beside("boot", "p", "-1", *own, "why")).code == 2
