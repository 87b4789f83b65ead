"""Alerts in the database: what a turn, a rebuilt pump or a person writes, and that it is written once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from service.core.alert import AlertEvent, AlreadyAcknowledgedError, IllegalTransitionError
from service.core.change import Change, Condition, Turn
from service.core.reading import position_of
from service.core.rulebook import DEFAULT_RULEBOOK
from service.postgres.alerts import AlertStore, UnknownAlertError
from tests.episodes import at, turned

STALL, UNDER = Condition.STALL, Condition.UNDER_DELIVERY
STORE = AlertStore(DEFAULT_RULEBOOK)


async def a_pump(connection: asyncpg.Connection, pump_id: str = "p1", *, simulated: bool = False) -> int:
    return await connection.fetchval(
        "INSERT INTO pump (pump_id, drug_class, concentration_ug_ml, simulated) VALUES ($1, 'baclofen', 20.3, $2) "
        "RETURNING pump",
        pump_id,
        simulated,
    )


async def an_endpoint(connection: asyncpg.Connection, name: str = "clinic", *, accepts_simulated: bool = False) -> UUID:
    return await connection.fetchval(
        "INSERT INTO endpoint (name, url, secret, accepts_simulated) VALUES ($1, 'https://x.example', 's', $2) "
        "RETURNING id",
        name,
        accepts_simulated,
    )


async def apply(connection: asyncpg.Connection, *changes: Change, minute: float = 100) -> list[AlertEvent]:
    async with connection.transaction():
        return [written.event for written in await STORE.apply(connection, changes, at(minute))]


async def alerts(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    return await connection.fetch("SELECT * FROM alert ORDER BY pump, condition, detected_position")


async def outbox(connection: asyncpg.Connection) -> list[tuple[str, str]]:
    rows = await connection.fetch(
        "SELECT n.kind, n.state FROM notification n JOIN endpoint e ON e.id = n.endpoint ORDER BY n.number, e.name"
    )
    return [(row["kind"], row["state"]) for row in rows]


async def try_to_deliver(connection: asyncpg.Connection, endpoint: UUID) -> None:
    await connection.execute("UPDATE notification SET attempts = attempts + 1 WHERE endpoint = $1", endpoint)


async def everything(connection: asyncpg.Connection) -> list[list[asyncpg.Record]]:
    return [
        await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")
        for table in ("alert", "alert_history", "notification")
    ]


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
    async with asyncio.timeout(10):
        await woken.wait()
    await listener.close()


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


async def test_what_a_person_does_is_kept_with_who_and_why(connection: asyncpg.Connection) -> None:
    pump = await a_pump(connection)
    await try_to_deliver(connection, await an_endpoint(connection))
    await apply(connection, turned(Turn.BEGAN, 30, pump=pump))
    await connection.execute("UPDATE notification SET attempts = 1")
    alert = (await alerts(connection))[0]["id"]

    await STORE.acknowledge(connection, alert, "ada", "on my way", at(101))
    with pytest.raises(AlreadyAcknowledgedError, match="already acknowledged by ada"):
        await STORE.acknowledge(connection, alert, "grace", "", at(102))
    with pytest.raises(IllegalTransitionError, match="reset is not possible while active"):
        await STORE.reset(connection, alert, "ada", "", at(103))
    await apply(connection, turned(Turn.ENDED, 60, pump=pump))
    written = await STORE.reset(connection, alert, "grace", "pump exchanged", at(104))

    assert (written.subject, written.state) == ("pump:p1", "resolved")
    history = await connection.fetch("SELECT event, actor, note, state FROM alert_history ORDER BY number")
    assert [tuple(row) for row in history] == [
        ("condition_began", "rules", "", "active"),
        ("acknowledged", "ada", "on my way", "active"),
        ("condition_ended", "rules", "", "latched"),
        ("reset", "grace", "pump exchanged", "resolved"),
    ]
    assert [kind for kind, _ in await outbox(connection)] == ["activated", "acknowledged", "resolved"]
    with pytest.raises(UnknownAlertError):
        await STORE.reset(connection, uuid4(), "ada", "", at(105))


async def test_of_two_people_at_once_one_acknowledges_and_the_other_learns_who(
    connection: asyncpg.Connection, postgres_url: str
) -> None:
    pump = await a_pump(connection)
    await apply(connection, turned(Turn.BEGAN, 30, pump=pump))
    alert = (await alerts(connection))[0]["id"]
    people = {name: await asyncpg.connect(postgres_url) for name in ("ada", "grace", "edsger", "barbara")}
    told = await asyncio.gather(
        *(STORE.acknowledge(own, alert, name, "", at(101)) for name, own in people.items()), return_exceptions=True
    )
    [first] = [name for name, answer in zip(people, told, strict=True) if not isinstance(answer, Exception)]
    assert {answer.by for answer in told if isinstance(answer, AlreadyAcknowledgedError)} == {first}
    assert await connection.fetchval("SELECT acknowledged_by FROM alert") == first
    assert await connection.fetchval("SELECT count(*) FROM alert_history") == 2
    for own in people.values():
        await own.close()


async def test_a_reset_and_a_return_at_once_come_to_one_of_the_two_orders(
    connection: asyncpg.Connection, postgres_url: str
) -> None:
    pump = await a_pump(connection)
    await apply(connection, turned(Turn.BEGAN, 30, pump=pump), turned(Turn.ENDED, 60, pump=pump))
    alert = (await alerts(connection))[0]["id"]
    person = await asyncpg.connect(postgres_url)
    async with connection.transaction():
        await STORE.apply(connection, [turned(Turn.BEGAN, 70, pump=pump)], at(70))
        resetting = asyncio.create_task(STORE.reset(person, alert, "ada", "", at(71)))
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(10):
            while not await connection.fetchval(waiting):  # noqa: ASYNC110 - another connection waits
                await asyncio.sleep(0.01)
    with pytest.raises(IllegalTransitionError, match="reset is not possible while active"):
        await resetting
    [row] = await alerts(connection)
    assert (row["id"], row["state"]) == (alert, "active")
    await person.close()
