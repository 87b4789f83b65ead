"""Leases of shards: who lives has them, who is gone leaves them, and two never have one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from service.core.shards import SHARDS, shard_of
from service.ports import FencedError
from service.postgres.fence import FencedWriter
from service.postgres.leases import NameTakenError, PostgresLeases
from service.postgres.registry import enrol, upsert
from tests.patience import until_found
from tests.postgres.test_registry import entries

ALL = range(SHARDS)


class Ingester:
    """What an ingester does with its leases, and nothing else."""

    def __init__(self, url: str, name: str) -> None:
        self.leases = PostgresLeases(url, name, ALL)
        self.held: dict[int, int] = {}

    async def look(self) -> int:
        looked = await self.leases.look(self.held)
        self.held |= {won.shard: won.epoch for won in looked.won}
        released = {shard: self.held.pop(shard) for shard in looked.give_back}
        if released:
            await self.leases.release(released)
        return len(self.held)


@asynccontextmanager
async def ingester(url: str, name: str) -> AsyncIterator[Ingester]:
    one = Ingester(url, name)
    try:
        yield one
    finally:
        await one.leases.leave()


async def looked_until(one: Ingester, shards: int) -> None:
    await until_found(one.look, f"{shards} shards", enough=lambda held: held == shards)


async def test_two_share_and_one_that_leaves_is_followed_at_once(postgres_url: str) -> None:
    async with ingester(postgres_url, "a") as a:
        await looked_until(a, 64)
        async with ingester(postgres_url, "b") as b:
            await b.look()
            await looked_until(a, 32)
            await looked_until(b, 32)
            assert not a.held.keys() & b.held.keys()
        await looked_until(a, 64)


async def test_one_whose_session_ends_is_followed_and_its_next_batch_is_refused(postgres_url: str) -> None:
    async with ingester(postgres_url, "a") as a, AsyncExitStack() as dead:
        b = await dead.enter_async_context(ingester(postgres_url, "b"))
        await looked_until(b, 64)
        await a.look()
        await looked_until(b, 32)
        await looked_until(a, 32)
        writer = FencedWriter(postgres_url, None, "b")
        writer.hold(b.held)
        await writer.write(_nothing)
        assert b.leases._session is not None
        b.leases._session.terminate()  # as a kill of its process does

        await looked_until(a, 64)
        with pytest.raises(FencedError):
            await writer.write(_nothing)
        await writer.close()


async def test_one_that_says_nothing_is_followed_although_its_session_stands(
    postgres_url: str, connection: asyncpg.Connection
) -> None:
    async with ingester(postgres_url, "a") as a, ingester(postgres_url, "b") as b:
        await looked_until(b, 64)
        await a.look()
        await looked_until(b, 32)
        await connection.execute("UPDATE ingester SET seen_at = now() - interval '1 minute' WHERE instance = 'b'")
        await looked_until(a, 64)


async def test_two_of_one_name_cannot_be(postgres_url: str) -> None:
    async with ingester(postgres_url, "a") as a, ingester(postgres_url, "a") as other:
        await a.look()
        with pytest.raises(NameTakenError):
            await other.look()


async def test_one_that_starts_again_has_its_shards_with_new_epochs(postgres_url: str) -> None:
    async with ingester(postgres_url, "a") as a, ingester(postgres_url, "b") as b:
        await a.look()
        await b.look()
        await looked_until(a, 32)
        await looked_until(b, 32)
        before = dict(b.held)
        assert b.leases._session is not None
        b.leases._session.terminate()
        async with ingester(postgres_url, "b") as again:
            await until_found(lambda: _begun(again), "the session's end to be noticed")
            assert again.held.keys() == before.keys()
            assert all(again.held[shard] > before[shard] for shard in before)


async def test_what_a_person_wants_elsewhere_is_given_back_and_taken(
    postgres_url: str, connection: asyncpg.Connection
) -> None:
    async with ingester(postgres_url, "a") as a, ingester(postgres_url, "b") as b:
        await a.look()
        await b.look()
        await looked_until(a, 32)
        await looked_until(b, 32)
        wanted = min(a.held)
        await connection.execute("UPDATE shard SET wanted_by = 'b' WHERE shard = $1", wanted)
        await a.look()
        await until_found(b.look, "it to be taken", enough=lambda _: wanted in b.held)
        assert wanted not in a.held


async def test_the_pumps_of_one_ingester_for_all_are_dealt_out_when_a_cluster_begins(
    postgres_url: str, connection: asyncpg.Connection
) -> None:
    names = [f"pump_{n}" for n in range(50)]
    await connection.execute("INSERT INTO pump (pump_id) SELECT unnest($1::text[])", names)
    async with ingester(postgres_url, "a") as a:
        await a.look()
    rows = await connection.fetch("SELECT pump_id, shard FROM pump")
    assert {row["pump_id"]: row["shard"] for row in rows} == {name: shard_of(name) for name in names}


async def test_the_database_puts_a_pump_where_the_broker_does(connection: asyncpg.Connection) -> None:
    names = ["", "a", "p000001", "A-Z_9", "x" * 64]
    rows = await connection.fetch("SELECT name, shard_of(name) AS shard FROM unnest($1::text[]) AS name", names)
    assert {row["name"]: row["shard"] for row in rows} == {name: shard_of(name) for name in names}


async def _begun(one: Ingester) -> bool:
    try:
        return bool(await one.look())
    except NameTakenError:
        return False


async def _nothing(connection: asyncpg.Connection) -> None:
    await connection.execute("SELECT 1")


async def test_in_a_cluster_a_registered_pump_is_put_where_its_messages_come(
    postgres_url: str, connection: asyncpg.Connection
) -> None:
    await upsert(connection, entries("p_alone"))
    async with ingester(postgres_url, "a") as a:
        await a.look()
        await upsert(connection, entries("p_later"))
        await enrol(connection, ["p_unlisted"], [True], 0)
    rows = await connection.fetch("SELECT pump_id, shard FROM pump")
    assert {row["pump_id"]: row["shard"] for row in rows} == {row["pump_id"]: shard_of(row["pump_id"]) for row in rows}
    assert len(rows) == 3
