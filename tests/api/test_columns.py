"""Rows become columns in the units of the answer."""

import asyncpg

from service.api.columns import as_it_is, columns_of, each, rounded

TOLD = {
    "name": ("pump_id", as_it_is),
    "half": ("number", each(lambda number: number // 2)),
    "flow": ("flow", rounded(3)),
    "same_flow": ("flow", rounded(1)),
}


async def test_each_column_is_as_long_as_there_are_rows_and_rounded_from_what_is_stored(
    connection: asyncpg.Connection,
) -> None:
    rows = await connection.fetch(
        "SELECT 'p' || n AS pump_id, n AS number, (n + 0.4976)::real AS flow FROM generate_series(1, 3) AS n"
    )
    assert columns_of(rows, TOLD) == {
        "name": ("p1", "p2", "p3"),
        "half": [0, 1, 1],
        "flow": [1.498, 2.498, 3.498],
        "same_flow": [1.5, 2.5, 3.5],
    }


async def test_without_rows_every_column_is_there_and_empty(connection: asyncpg.Connection) -> None:
    assert columns_of(await connection.fetch("SELECT 1 WHERE false"), TOLD) == {name: [] for name in TOLD}
