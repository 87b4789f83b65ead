"""A database that is away is told from a mistake of ours."""

import asyncpg
import pytest

from service.ports import StoreUnavailableError
from service.postgres.outage import outages_told


async def test_a_database_that_cannot_be_reached_is_an_outage() -> None:
    with pytest.raises(StoreUnavailableError, match="ConnectionRefusedError"), outages_told():
        await asyncpg.connect("postgresql://nobody@127.0.0.1:9/none")


async def test_a_connection_that_was_ended_under_us_is_an_outage(postgres_url: str) -> None:
    connection, other = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    await other.execute("SELECT pg_terminate_backend($1, 10000)", connection.get_server_pid())
    for _ in range(2):
        with pytest.raises(StoreUnavailableError), outages_told():
            await connection.execute("SELECT 1")
    await other.close()


async def test_a_statement_or_an_argument_that_is_wrong_is_not(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    with pytest.raises(asyncpg.UndefinedTableError), outages_told():
        await connection.execute("SELECT * FROM nothing_of_this_name")
    with pytest.raises(asyncpg.DataError), outages_told():
        await connection.fetchval("SELECT $1::integer", "one")
    await connection.close()
