"""`pumpwatch ledger`: the books as a person reads them."""

import asyncpg
import msgspec

from service.core.reading import position_of
from tests.commands.here import ran_beside

AT = "2026-11-22T12:00:00Z"


async def test_the_books_are_printed_for_one_pump_and_for_all(
    connection: asyncpg.Connection, postgres_url: str
) -> None:
    keys = [await connection.fetchval("INSERT INTO pump (pump_id) VALUES ($1) RETURNING pump", p) for p in ("a", "b")]
    for key in keys:
        await connection.execute(
            "INSERT INTO reading SELECT $1::text::timestamptz + n * interval '1 minute', $2::bigint + n, now(), $3,"
            " 0.5, 0.5, 18, 2.9, 0 FROM generate_series(0, 99) AS n WHERE n NOT BETWEEN 40 AND 44",
            *(AT, position_of(3, 0), key),
        )
    await connection.execute(
        "INSERT INTO gap VALUES ($1, $2, $3, now(), NULL, true)", keys[0], position_of(3, 40), position_of(3, 43)
    )
    await connection.execute("INSERT INTO duplicate_day VALUES ($1, '2026-11-22', 7)", keys[0])

    url = ("--database-url", postgres_url)
    one = await ran_beside("ledger", "a", *url)
    assert one.code == 0, one.err
    assert "a: 100 sent = 95 stored + 0 quarantined, 4 lost, 1 awaited, 0 unaccounted: 95.0000 % complete" in one.out
    assert "7 came again" in one.out
    assert one.out.splitlines()[-1].split() == ["3", "44", "44", "1", "awaited"]

    span = ("--from", "2026-11-22T12:50:00+00:00", "--to", "2026-11-22T13:00")
    every = await ran_beside("ledger", "--all", *span, *url)
    assert [line.split()[:3] for line in every.out.splitlines()][1:] == [
        ["a", "10", "10"],
        ["b", "10", "10"],
        ["all", "20", "20"],
    ]
    told = [
        msgspec.json.decode(line) for line in (await ran_beside("ledger", "--all", "--json", *url)).out.splitlines()
    ]
    assert [(each["pump_id"], each["sent"], each["lost"], each["awaited"]) for each in told] == [
        ("a", 100, 4, 1),
        ("b", 100, 0, 5),
    ]

    assert (await ran_beside("ledger", "c", *url)).code == 1
    wrong = await ran_beside("ledger", "a", "--from", AT, "--to", AT, *url)
    assert (wrong.code, wrong.err) == (2, "--to must be later than --from\n")

    await connection.execute(
        "INSERT INTO rule_checkpoint VALUES ($1, NULL, $2, $2, now(), '', '')", keys[1], position_of(3, 99)
    )
    broken = await ran_beside("ledger", "b", *url)
    assert (broken.code, "5 unaccounted" in broken.out) == (1, True)
