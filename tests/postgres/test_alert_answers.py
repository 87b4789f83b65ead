"""Alerts in the database: what a person does, and two who do it at once."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from service.core.alert import AlreadyAcknowledgedError, IllegalTransitionError
from service.core.change import Turn
from service.postgres.alerts import UnknownAlertError
from tests.episodes import at, turned
from tests.postgres.alerting import (
    STORE,
    a_pump,
    alerts,
    an_endpoint,
    apply,
    outbox,
    try_to_deliver,
)


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
        async with asyncio.timeout(60):
            while not await connection.fetchval(waiting):  # noqa: ASYNC110 - another connection waits
                await asyncio.sleep(0.01)
    with pytest.raises(IllegalTransitionError, match="reset is not possible while active"):
        await resetting
    [row] = await alerts(connection)
    assert (row["id"], row["state"]) == (alert, "active")
    await person.close()
