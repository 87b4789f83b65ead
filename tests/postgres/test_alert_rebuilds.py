"""Alerts in the database: a pump whose readings came late has those of in-order arrival."""

from dataclasses import replace

import asyncpg

from service.core.alert import AlertEvent
from service.core.change import Change, Condition, Turn
from service.core.reading import position_of
from tests.episodes import at, turned
from tests.postgres.alerting import STALL, STORE, UNDER, a_pump, alerts, an_endpoint, apply, try_to_deliver


async def rebuilt(
    connection: asyncpg.Connection, pump: int, since: int, *turns: Change, held: set[Condition] = frozenset()
) -> list[AlertEvent]:
    async with connection.transaction():
        written = await STORE.reconcile(connection, pump, position_of(7, since), turns, at(400), held=held)
    return [each.event for each in written]


async def test_late_readings_lead_to_the_alerts_of_in_order_arrival(connection: asyncpg.Connection) -> None:
    pump, other = await a_pump(connection, "p1"), await a_pump(connection, "p2")
    clinic = await an_endpoint(connection)
    gross, low = Condition.OVER_DELIVERY_GROSS, Condition.RESERVOIR_LOW
    believed = [
        turned(Turn.BEGAN, 50, gross, pump=pump),  # never was
        turned(Turn.BEGAN, 51, low, pump=pump),  # in truth over at 90
        turned(Turn.BEGAN, 52, Condition.SILENCE, pump=pump),  # none of the fold's business
    ]
    await apply(connection, *believed, *(replace(change, pump=other) for change in believed))
    await try_to_deliver(connection, clinic)
    true = [
        turned(Turn.BEGAN, 51, low, pump=pump),
        turned(Turn.BEGAN, 60, UNDER, pump=pump),  # was missed, and is over
        turned(Turn.ENDED, 70, UNDER, pump=pump),
        turned(Turn.BEGAN, 80, STALL, pump=pump),  # was missed, and goes on
        turned(Turn.ENDED, 90, low, pump=pump),
    ]
    await rebuilt(connection, pump, 40, *true)

    kept = {row["condition"]: row for row in await alerts(connection) if row["pump"] == pump}
    assert {name: (row["state"], row["reason"], row["found_late"]) for name, row in kept.items()} == {
        "over_delivery_gross": ("resolved", "late_data", False),
        "reservoir_low": ("resolved", "late_data", False),
        "silence": ("active", "in_order", False),
        "stall": ("active", "late_data", False),
        "under_delivery": ("resolved", "late_data", True),
    }
    told = await connection.fetch(
        "SELECT condition, array_agg(n.kind ORDER BY number) FROM notification n JOIN alert a ON a.id = alert_id "
        "WHERE pump = $1 GROUP BY condition",
        pump,
    )
    assert dict(told) == {
        "over_delivery_gross": ["activated", "resolved"],
        "reservoir_low": ["activated", "resolved"],
        "silence": ["activated"],
        "stall": ["activated"],
    }
    assert await rebuilt(connection, pump, 40, *true) == []
    assert {row["state"] for row in await alerts(connection) if row["pump"] == other} == {"active"}


async def test_an_episode_that_was_ended_before_the_rebuilding_began_may_turn_out_to_go_on(
    connection: asyncpg.Connection,
) -> None:
    pump = await a_pump(connection)
    await apply(connection, turned(Turn.BEGAN, 10, UNDER, pump=pump), turned(Turn.ENDED, 30, UNDER, pump=pump))
    assert await rebuilt(connection, pump, 40, held={UNDER}) == ["condition_began"]
    first, second = await alerts(connection)
    assert (first["state"], second["state"]) == ("resolved", "active")
    assert (second["began_at"], second["previous_id"]) == (at(10), first["id"])
