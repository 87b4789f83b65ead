"""`pumpwatch export`: what is stored of a pump, as CSV."""

import asyncpg

from service.core.reading import position_of
from tests.commands.here import ran_beside


async def test_readings_of_a_span_are_printed(connection: asyncpg.Connection, postgres_url: str) -> None:
    key = await connection.fetchval("INSERT INTO pump (pump_id) VALUES ('p') RETURNING pump")
    await connection.execute(
        "INSERT INTO reading SELECT '2026-11-22T12:00Z'::timestamptz + n * interval '1 minute', $1::bigint + n, now(),"
        " $2, 0.5, 0.5, 18, 2.9, 0 FROM generate_series(0, 99) AS n",
        *(position_of(3, 0), key),
    )
    url = ("--database-url", postgres_url)
    span = ("--from", "2026-11-22T12:10", "--to", "2026-11-22T12:20")
    printed = (await ran_beside("export", "p", *span, *url)).out.splitlines()
    assert printed[0].startswith("pump_id,measured_at,received_at,boot,seq,mode,program_ml_d")
    assert [line.split(",")[4] for line in printed[1:]] == [str(seq) for seq in range(10, 20)]
    assert len((await ran_beside("export", "p", *url)).out.splitlines()) == 101
    assert (await ran_beside("export", "p", "--what", "events", *url)).out.count("\n") == 1
    assert (await ran_beside("export", "q", *url)).code == 1
    assert await connection.fetchval("SELECT count(*) FROM audit WHERE action = 'pump_exported'") == 3
