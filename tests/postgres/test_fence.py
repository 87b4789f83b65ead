"""One writer a shard, and each batch once, whatever happens to the answer of its COMMIT."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.embedded.postgres import PostgresServer
from service.ports import FencedError
from service.postgres.fence import FencedWriter
from service.postgres.migrate import migrate


@pytest.fixture
async def writer(postgres_url: str) -> AsyncIterator[FencedWriter]:
    writer = FencedWriter(postgres_url, 3)
    await writer.take_over("first")
    yield writer
    await writer.close()


async def add_site(connection: asyncpg.Connection) -> None:
    await connection.execute("INSERT INTO site (site, name) VALUES ('s' || nextval('quarantine_id_seq'), 'x')")


async def sites(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM site"))
    finally:
        await connection.close()


async def test_after_a_takeover_the_old_owner_writes_nothing(writer: FencedWriter, postgres_url: str) -> None:
    await writer.write(add_site)
    successor = FencedWriter(postgres_url, 3)
    await successor.take_over("second")
    with pytest.raises(FencedError):
        await writer.write(add_site)
    await successor.write(add_site)
    await successor.close()
    assert await sites(postgres_url) == 2


async def test_a_takeover_waits_for_the_batch_under_way(writer: FencedWriter, postgres_url: str) -> None:
    successor, entered, go_on = FencedWriter(postgres_url, 3), asyncio.Event(), asyncio.Event()

    async def slowly(connection: asyncpg.Connection) -> None:
        await add_site(connection)
        entered.set()
        await go_on.wait()

    batch = asyncio.create_task(writer.write(slowly))
    await entered.wait()
    takeover = asyncio.create_task(successor.take_over("second"))
    done, _ = await asyncio.wait([takeover], timeout=0.2)
    assert not done
    go_on.set()
    await batch
    await takeover
    await successor.close()
    assert await sites(postgres_url) == 1


async def test_a_batch_whose_commit_was_not_answered_but_happened_is_not_written_again(
    writer: FencedWriter, postgres_url: str
) -> None:
    other = await asyncpg.connect(postgres_url)
    runs = 0

    async def commits_by_itself(connection: asyncpg.Connection) -> None:
        """Commit, and lose the connection before anybody is told: what a cut between COMMIT and its answer leaves."""
        nonlocal runs
        runs += 1
        await add_site(connection)
        pid = connection.get_server_pid()
        await connection.execute("COMMIT")
        await other.execute("SELECT pg_terminate_backend($1, 10000)", pid)
        await connection.execute("SELECT 1")

    await writer.write(commits_by_itself)
    await other.close()
    assert (runs, await sites(postgres_url)) == (1, 1)


async def test_a_batch_that_was_cut_off_before_its_commit_is_written_again(
    writer: FencedWriter, postgres_url: str
) -> None:
    other = await asyncpg.connect(postgres_url)
    runs = 0

    async def is_cut_off_once(connection: asyncpg.Connection) -> None:
        nonlocal runs
        runs += 1
        await add_site(connection)
        if runs == 1:
            await other.execute("SELECT pg_terminate_backend($1, 10000)", connection.get_server_pid())
            await connection.execute("SELECT 1")

    await writer.write(is_cut_off_once)
    await other.close()
    assert (runs, await sites(postgres_url)) == (2, 1)


async def test_a_mistake_of_our_own_is_not_tried_for_ever(writer: FencedWriter) -> None:
    async def wrong(connection: asyncpg.Connection) -> None:
        await connection.execute("SELECT $1::integer", "not a number")

    with pytest.raises(asyncpg.DataError, match="not a number"):
        await writer.write(wrong)


async def test_a_database_that_is_killed_is_waited_for_and_the_batch_is_in_it_once(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.url()
    await migrate(url)
    writer = FencedWriter(url, 0)
    await writer.take_over("first")
    postgres_server.kill()
    batch = asyncio.create_task(writer.write(add_site))
    while not writer.problem:  # noqa: ASYNC110 - the writer tells nobody; it is looked at
        await asyncio.sleep(0)
    postgres_server.start()
    await batch
    assert writer.problem == ""
    assert await sites(url) == 1
    await writer.close()
