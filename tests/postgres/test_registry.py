"""The registry in the database: versioned, quick in bulk, and safe beside others who change it."""

import asyncio
from datetime import date

import asyncpg
import msgspec

from service.core.reading import DrugClass
from service.core.registry import RegistryEntry
from service.postgres.registry import CHANNEL, enrol, load_pumps, registered, upsert

ENTRY = RegistryEntry(
    pump_id="p1",
    site="north",
    flow_channel="sensor",
    reservoir_channel="computed",
    capacity_ml=20.3,
    drug_class=DrugClass.OPIOID,
    concentration_ug_ml=0.1,
    interval_s=0.7,
    next_refill_on=date(2026, 12, 31),
    bolus_daily_cap_ul=20.3,
    implanted_on=date(2023, 5, 17),
)


def entries(*pump_ids: str, **fields: object) -> list[RegistryEntry]:
    return [msgspec.structs.replace(ENTRY, pump_id=pump_id, **fields) for pump_id in pump_ids]


async def test_entries_come_back_as_they_went_in_and_only_what_differs_gets_a_version(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    written = await upsert(connection, entries("p1", "p2"))
    assert (written.created, written.changed) == ({"p1": 1, "p2": 1}, {})
    assert await registered(connection) == entries("p1", "p2")
    written = await upsert(connection, [*entries("p1"), *entries("p2", drug="x"), *entries("p3", site="south")])
    assert (written.created, written.changed) == ({"p3": 1}, {"p2": 2})
    assert [row["site"] for row in await connection.fetch("SELECT site FROM site ORDER BY site")] == ["north", "south"]
    await connection.close()


async def test_a_change_wakes_whoever_holds_pumps_and_nothing_else_does(postgres_url: str) -> None:
    connection, listener = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    told: asyncio.Queue[str] = asyncio.Queue()
    await listener.add_listener(CHANNEL, lambda *_: told.put_nowait("changed"))
    for _ in range(2):
        await upsert(connection, entries("p1"))
    await upsert(connection, entries("p1", drug="x"))
    await connection.execute(f"NOTIFY {CHANNEL}")
    for _ in range(3):
        await asyncio.wait_for(told.get(), 60)
    assert told.empty()
    await connection.close()
    await listener.close()


async def test_ten_thousand_pumps_are_entered_at_once_and_changed_at_once(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    ids = [f"p{number:06}" for number in range(10_000)]
    assert len((await upsert(connection, entries(*ids))).created) == 10_000
    assert len((await upsert(connection, entries(*ids, drug="x"))).changed) == 10_000
    assert await upsert(connection, entries(*ids, drug="x")) == ({}, {})
    await connection.close()


async def test_pumps_that_nobody_listed_are_enrolled_once_however_many_try_at_once(postgres_url: str) -> None:
    pool = await asyncpg.create_pool(postgres_url, min_size=8, max_size=8)
    ids = [f"p{number}" for number in range(500)]

    async def try_it(turned: list[str]) -> dict[str, int]:
        async with pool.acquire() as connection:
            return await enrol(connection, turned, [pump_id == "p7" for pump_id in turned], 3)

    async def list_them() -> None:
        async with pool.acquire() as connection:
            await upsert(connection, entries(*ids[::2]), 3)

    first, *others, _ = await asyncio.gather(try_it(ids), *(try_it(ids[::-1]) for _ in range(5)), list_them())
    assert set(first) == set(ids)
    assert all(other == first for other in others)
    async with pool.acquire() as connection:
        rows = {row["pump_id"]: row for row in await load_pumps(connection, 3)}
        assert {pump_id: row["pump"] for pump_id, row in rows.items()} == first
        assert await load_pumps(connection, 0) == []
    assert {pump_id for pump_id, row in rows.items() if row["registered"]} == set(ids[::2])
    unlisted = rows["p7"]
    assert unlisted["simulated"]
    assert not rows["p9"]["simulated"]
    assert (unlisted["drug_class"], unlisted["flow_channel"]) == ("unknown", "rotor")
    assert (unlisted["reservoir_channel"], unlisted["version"]) == ("computed", 1)
    await pool.close()


async def test_enrolling_nobody_asks_nothing(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    assert await enrol(connection, [], [], 0) == {}
    await connection.close()
