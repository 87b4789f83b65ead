"""Alerts in the database: what a turn writes, and that it is written once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec

from service.core.change import Turn
from service.core.reading import position_of
from service.core.rulebook import DEFAULT_RULEBOOK
from tests.episodes import at, turned
from tests.postgres.alerting import (
    STALL,
    STORE,
    UNDER,
    a_pump,
    alerts,
    an_endpoint,
    apply,
    everything,
    outbox,
    try_to_deliver,
)


async def test_an_onset_writes_the_alert_its_history_and_what_each_endpoint_is_told(
    connection: asyncpg.Connection,
) -> None:
    pump = await a_pump(connection)
    await an_endpoint(connection, "clinic")
    await an_endpoint(connection, "night")
    assert await apply(connection, turned(Turn.BEGAN, 30, pump=pump, began=10, missed_ul=10.4)) == ["condition_began"]

    [alert] = await alerts(connection)
    assert (alert["state"], alert["priority"], alert["kind"]) == ("active", "high", "physiological")
    assert (alert["began_at"], alert["detected_at"], alert["raised_at"]) == (at(10), at(30), at(100))
    assert alert["rulebook_version"] == DEFAULT_RULEBOOK.version
    [entry] = await connection.fetch("SELECT * FROM alert_history")
    assert (entry["number"], entry["event"], entry["position"]) == (1, "condition_began", position_of(7, 30))
    assert await outbox(connection) == [("activated", "pending")] * 2
    body = msgspec.json.decode(await connection.fetchval("SELECT body::text FROM notification LIMIT 1"))
    assert body["data"]["alert_id"] == str(alert["id"])
    assert body["data"]["program_ug_d"] == 10.15


async def test_the_same_turns_again_change_nothing(connection: asyncpg.Connection) -> None:
    pump = await a_pump(connection)
    await an_endpoint(connection)
    turns = [
        turned(Turn.BEGAN, 30, pump=pump),
        turned(Turn.BEGAN, 31, UNDER, pump=pump),
        turned(Turn.ENDED, 60, UNDER, pump=pump),
        turned(Turn.ENDED, 61, pump=pump),
        turned(Turn.BEGAN, 70, UNDER, pump=pump),
    ]
    for count in range(1, len(turns) + 1):
        await apply(connection, *turns[:count], minute=100 + count)
    written = await everything(connection)
    assert await apply(connection, *turns, minute=200) == []
    for change in turns:
        assert await apply(connection, change, minute=201) == []
    assert await everything(connection) == written


async def test_turns_in_one_batch_come_to_the_same_as_one_by_one(connection: asyncpg.Connection) -> None:
    one_by_one, at_once = await a_pump(connection, "p1"), await a_pump(connection, "p2")
    kinds = [(Turn.BEGAN, 30), (Turn.ENDED, 60), (Turn.BEGAN, 70), (Turn.ENDED, 80), (Turn.BEGAN, 90)]
    for condition in (STALL, UNDER):
        for turn, minute in kinds:
            await apply(connection, turned(turn, minute, condition, pump=one_by_one))
    await apply(connection, *(turned(*kind, c, pump=at_once) for c in (STALL, UNDER) for kind in kinds))

    def told(rows: list[asyncpg.Record]) -> list[tuple[Any, ...]]:
        kept = ("condition", "state", "priority", "detected_at", "ended_at", "last_position", "version")
        return [tuple(row[name] for name in kept) for row in rows]

    rows = await alerts(connection)
    assert len(rows) == 2 * (1 + 3), "the latching one comes back, the other one is new each time"
    assert told([row for row in rows if row["pump"] == one_by_one]) == told([r for r in rows if r["pump"] == at_once])


async def test_a_thousand_turns_take_as_many_statements_as_one(connection: asyncpg.Connection) -> None:
    await an_endpoint(connection)
    pumps = [await a_pump(connection, f"p{number}") for number in range(1000)]
    statements: list[str] = []
    connection.add_query_logger(lambda record: statements.append(record.query))

    counts = []
    for some in (pumps[:1], pumps[1:2], pumps):  # the first one only lets the driver learn the types
        for turn, minute in ((Turn.BEGAN, 30), (Turn.ENDED, 60)):
            statements.clear()
            await apply(connection, *(turned(turn, minute, UNDER, pump=pump) for pump in some), minute=minute)
            counts.append(len(statements))
    assert counts[2] == counts[4] <= 15
    assert counts[3] == counts[5] <= 15
    assert await connection.fetchval("SELECT count(*) FROM alert WHERE state = 'resolved'") == 1000


async def test_an_alert_keeps_the_last_readings_that_led_to_it(connection: asyncpg.Connection) -> None:
    pump = await a_pump(connection)
    await connection.execute(
        """
        INSERT INTO reading
        SELECT $2::timestamptz + make_interval(mins => m), $3::bigint + m, now(), $1, 0.5, 0.497, 17.9, 2.91, 0
        FROM generate_series(0, 400) AS m
        """,
        pump,
        at(0),
        position_of(7, 0),
    )
    await apply(
        connection, turned(Turn.BEGAN, 300, pump=pump, began=290), turned(Turn.BEGAN, 300, UNDER, pump=pump, began=0)
    )
    stall, under = (msgspec.json.decode(row["evidence"])["readings"] for row in await alerts(connection))
    assert stall["position"] == [position_of(7, minute) for minute in range(290, 301)]
    assert set(stall["flow_ml_d"]) == {0.497}
    assert under["position"] == [position_of(7, minute) for minute in range(181, 301)]

    await apply(connection, turned(Turn.ENDED, 390, pump=pump))
    evidence = msgspec.json.decode((await alerts(connection))[0]["evidence"])
    assert (evidence["readings"], evidence["program_ml_d"]) == (stall, 0.5)


async def test_what_nobody_was_told_of_is_not_announced_once_it_is_over(connection: asyncpg.Connection) -> None:
    pump = await a_pump(connection)
    tried, untried = await an_endpoint(connection, "a tried"), await an_endpoint(connection, "b untried")
    leased = await an_endpoint(connection, "c leased")
    await apply(connection, turned(Turn.BEGAN, 30, UNDER, pump=pump))
    await try_to_deliver(connection, tried)
    await connection.execute("UPDATE notification SET lease_token = $1 WHERE endpoint = $2", uuid4(), leased)
    await apply(connection, turned(Turn.ENDED, 60, UNDER, pump=pump))

    rows = await connection.fetch("SELECT endpoint, kind, state FROM notification")
    assert {tuple(row) for row in rows} == {
        (tried, "activated", "pending"),
        (tried, "resolved", "pending"),
        (untried, "activated", "collapsed"),
        (leased, "activated", "pending"),
        (leased, "resolved", "pending"),
    }


async def test_a_high_alert_is_announced_however_short_it_was(connection: asyncpg.Connection) -> None:
    pump = await a_pump(connection)
    await an_endpoint(connection)
    await apply(connection, turned(Turn.BEGAN, 30, pump=pump), turned(Turn.ENDED, 60, pump=pump))
    [alert] = await alerts(connection)
    assert alert["state"] == "latched"
    assert await outbox(connection) == [("activated", "pending")]


async def test_delayed_data_is_announced_when_the_pump_has_caught_up(connection: asyncpg.Connection) -> None:
    pump, other = await a_pump(connection, "p1"), await a_pump(connection, "p2")
    await an_endpoint(connection)
    for each in (pump, other):
        await apply(connection, turned(Turn.BEGAN, 30, pump=each, delayed=True), minute=500)
    await connection.execute(
        "INSERT INTO endpoint (name, url, secret, enabled) VALUES ('gone', 'https://y.example', 's', false)"
    )
    due = "SELECT a.pump, n.due_at FROM notification n JOIN alert a ON a.id = n.alert_id"
    held = at(500) + timedelta(seconds=DEFAULT_RULEBOOK.delayed_announcement_s)
    assert {row["due_at"] for row in await connection.fetch(due)} == {held}

    await STORE.release(connection, [pump], at(500.05))
    assert dict(await connection.fetch(due)) == {pump: at(500.05), other: held}


async def test_what_waits_for_its_next_attempt_is_not_released(connection: asyncpg.Connection) -> None:
    pump = await a_pump(connection)
    await try_to_deliver(connection, await an_endpoint(connection))
    await apply(connection, turned(Turn.BEGAN, 30, pump=pump), minute=500)
    await connection.execute("UPDATE notification SET attempts = 1, due_at = $1", at(600))
    await STORE.release(connection, [pump], at(501))
    assert await connection.fetchval("SELECT due_at FROM notification") == at(600)


async def test_a_delayed_episode_over_before_its_announcement_is_found_late(connection: asyncpg.Connection) -> None:
    pump = await a_pump(connection)
    await an_endpoint(connection)
    began, ended = turned(Turn.BEGAN, 30, pump=pump, delayed=True), turned(Turn.ENDED, 60, pump=pump, delayed=True)
    await apply(connection, began, minute=500)
    await apply(connection, ended, minute=500.1)
    [alert] = await alerts(connection)
    assert (alert["state"], alert["found_late"], alert["priority"]) == ("resolved", True, "low")
    assert (alert["began_at"], alert["ended_at"], alert["raised_at"]) == (at(30), at(60), at(500))
    assert await outbox(connection) == [("activated", "collapsed")]


async def test_a_simulated_pump_is_told_of_only_where_that_is_accepted(connection: asyncpg.Connection) -> None:
    pump = await a_pump(connection, simulated=True)
    await an_endpoint(connection, "clinic")
    demo = await an_endpoint(connection, "demo", accepts_simulated=True)
    await apply(connection, turned(Turn.BEGAN, 30, pump=pump))
    [told] = await connection.fetch("SELECT endpoint, body->'data'->>'simulated' AS simulated FROM notification")
    assert tuple(told) == (demo, "true")


async def test_whoever_listens_is_woken_by_the_commit(connection: asyncpg.Connection, postgres_url: str) -> None:
    pump = await a_pump(connection)
    await an_endpoint(connection)
    listener = await asyncpg.connect(postgres_url)
    woken = asyncio.Event()
    await listener.add_listener("pumpwatch_outbox", lambda *_: woken.set())
    async with connection.transaction():
        await STORE.apply(connection, [turned(Turn.BEGAN, 30, pump=pump)], at(30))
        await listener.fetchval("SELECT 1")
        assert not woken.is_set()
    async with asyncio.timeout(60):
        await woken.wait()
    await listener.close()
