"""Causes and consequences, chattering, shelves, and pumps out of service: what is recorded and not told."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from service.core.answers import ShelfRefusedError
from service.core.change import Condition, Turn
from service.postgres import standing, unraised
from tests.episodes import at, turned
from tests.postgres.ward import STORE, Ward

UNDER, OVER, LOW = Condition.UNDER_DELIVERY, Condition.OVER_DELIVERY, Condition.RESERVOIR_LOW


@pytest.fixture
async def ward(postgres_url: str) -> AsyncIterator[Ward]:
    connection = await asyncpg.connect(postgres_url)
    ward = Ward(connection)
    await ward.endpoint("desk")
    yield ward
    await connection.close()


async def look(ward: Ward, minute: float) -> list[str]:
    written = await unraised.look_once(ward.connection, STORE, standing.JUDGED_HERE, at(minute))
    return [f"{each.condition} {each.event}" for each in written]


async def test_a_stall_tells_of_its_under_delivery_unless_that_outlasts_it(ward: Ward) -> None:
    pump = await ward.pump()
    await ward.apply(turned(Turn.BEGAN, 30, pump=pump), turned(Turn.BEGAN, 30, UNDER, pump=pump), minute=30)
    assert await ward.told() == ["activated desk"]
    stall, under = await ward.connection.fetch("SELECT * FROM alert ORDER BY condition")
    assert (under["inhibited_by"], under["escalate_at"]) == (stall["id"], None)
    await ward.arrives()
    await ward.apply(turned(Turn.ENDED, 60, pump=pump), minute=60)
    [row] = await ward.connection.fetch("SELECT kind, due_at FROM notification WHERE state = 'pending'")
    assert (row["kind"], row["due_at"]) == ("activated", at(75))
    await ward.apply(turned(Turn.ENDED, 70, UNDER, pump=pump), minute=70)
    assert await ward.told() == ["activated desk"]
    events = await ward.connection.fetch(
        "SELECT event FROM alert_history WHERE alert_id = $1 ORDER BY number", under["id"]
    )
    assert [row["event"] for row in events] == ["condition_began", "inhibited", "released", "condition_ended"]


async def test_what_was_told_before_its_cause_came_escalates_no_further(ward: Ward) -> None:
    pump = await ward.pump()
    await ward.apply(turned(Turn.BEGAN, 30, UNDER, pump=pump), minute=30)
    await ward.arrives()
    await ward.apply(turned(Turn.BEGAN, 40, pump=pump), minute=40)
    await ward.arrives()
    assert await ward.told() == ["activated desk", "activated desk"]
    assert await ward.look(44) == []
    assert await ward.look(100) == ["repeated"]  # the stall alone


async def test_what_chatters_is_marked_and_announced_once(ward: Ward) -> None:
    pump = await ward.pump()
    for number in range(6):
        minute = 30 + 20 * number
        await ward.apply(turned(Turn.BEGAN, minute, UNDER, pump=pump), minute=minute)
        await ward.arrives_if_due(minute)
        await ward.apply(turned(Turn.ENDED, minute + 10, UNDER, pump=pump), minute=minute + 10)
        await ward.arrives_if_due(minute + 10)
    marks = await ward.connection.fetch("SELECT chattering FROM alert ORDER BY raised_at")
    assert [row["chattering"] for row in marks] == [False, False, False, True, True, True]
    assert await ward.told() == ["activated desk", "resolved desk"] * 4
    await ward.apply(turned(Turn.BEGAN, 200, UNDER, pump=pump), minute=200)
    [due] = await ward.connection.fetch("SELECT due_at FROM notification WHERE state = 'pending'")
    assert due["due_at"] == at(260)  # told of after all if it lasts


async def test_a_shelf_has_a_reason_and_an_end_and_is_never_for_what_must_be_heard(ward: Ward) -> None:
    pump = await ward.pump()
    await ward.apply(
        turned(Turn.BEGAN, 30, UNDER, pump=pump), turned(Turn.BEGAN, 30, LOW, pump=pump, step=1), minute=30
    )
    low = await ward.connection.fetchval("SELECT id FROM alert WHERE condition = 'reservoir_low'")
    await ward.arrives()

    async def shelve(reason: str, until: float) -> None:
        await STORE.shelve(ward.connection, low, "ada", reason, at(31), until=at(until))

    for reason, until, field in (
        ("  ", 60, "reason"),
        ("refill is booked", 31, "until"),
        ("why", 31 + 8 * 1440, "until"),
    ):
        with pytest.raises(ShelfRefusedError) as refused:
            await shelve(reason, until)
        assert refused.value.field == field
    await shelve("refill is booked", 31 + 2 * 1440)
    assert (await ward.connection.fetchrow("SELECT * FROM alert WHERE id = $1", low))[
        "shelf_reason"
    ] == "refill is booked"
    assert "repeated" in await ward.look(100)  # under-delivery alone
    assert await ward.connection.fetchval("SELECT count(*) FROM notification WHERE alert_id = $1", low) == 1
    await ward.arrives()
    assert "unshelved" in await ward.look(31 + 2 * 1440)
    assert await ward.connection.fetchval("SELECT count(*) FROM notification WHERE alert_id = $1", low) == 2

    await ward.apply(turned(Turn.BEGAN, 3000, pump=pump), minute=3000)
    stall = await ward.connection.fetchval("SELECT id FROM alert WHERE condition = 'stall'")
    with pytest.raises(ShelfRefusedError, match="stall is never shelved"):
        await STORE.shelve(ward.connection, stall, "ada", "why", at(3001), until=at(3001) + timedelta(minutes=5))


async def test_a_rise_takes_an_alert_off_the_shelf(ward: Ward) -> None:
    pump = await ward.pump()
    await ward.apply(turned(Turn.BEGAN, 30, LOW, pump=pump, step=1), minute=30)
    low = (await ward.alert())["id"]
    await ward.arrives()
    await STORE.shelve(ward.connection, low, "ada", "refill is booked", at(31), until=at(1000))
    await ward.apply(turned(Turn.ROSE, 40, LOW, pump=pump, step=3), minute=40)
    assert await ward.told() == ["activated desk", "priority_rose desk"]
    assert (await ward.alert())["shelved_until"] is None


async def test_out_of_service_resolves_what_is_open_and_what_still_holds_begins_anew_afterwards(ward: Ward) -> None:
    pump = await ward.pump()
    await ward.apply(
        turned(Turn.BEGAN, 30, UNDER, pump=pump), turned(Turn.BEGAN, 30, LOW, pump=pump, step=1), minute=30
    )
    await ward.arrives()
    await ward.connection.execute("UPDATE pump SET in_service = false")
    assert sorted(await look(ward, 40)) == ["reservoir_low taken_out", "under_delivery taken_out"]
    assert await look(ward, 41) == []
    await ward.arrives()
    told = await ward.told()
    # While it is out: one ends, one more begins, and nobody is told.
    await ward.apply(turned(Turn.ENDED, 50, UNDER, pump=pump), turned(Turn.BEGAN, 50, OVER, pump=pump), minute=50)
    assert await ward.connection.fetchval("SELECT count(*) FROM alert WHERE state <> 'resolved'") == 0
    assert await ward.told() == told
    await ward.connection.execute("UPDATE pump SET in_service = true")
    assert sorted(await look(ward, 60)) == ["over_delivery condition_began", "reservoir_low condition_began"]
    assert await look(ward, 61) == []
