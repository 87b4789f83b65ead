"""History and audit are only added to, and whoever goes around that is found out."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from service.core.change import Turn
from service.postgres.accounts import audit
from service.postgres.chains import add_roots, verify
from tests.commands.here import ran_beside
from tests.episodes import at, turned
from tests.postgres.ward import STORE, Ward


@pytest.fixture
async def ward(postgres_url: str) -> AsyncIterator[Ward]:
    """Two alerts with a few entries each, and three of the audit with texts of every kind."""
    connection = await asyncpg.connect(postgres_url)
    ward = Ward(connection)
    await ward.endpoint("desk")
    for pump_id in ("p1", "p2"):
        await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump(pump_id)), minute=30)
    for row in await connection.fetch("SELECT id FROM alert"):
        await STORE.acknowledge(connection, row["id"], "ada", "Zürich, 1 : 2 — µg", at(31))
    for actor in ("ada", "grace", "ada"):
        await audit(connection, actor, "tried", "a, b", {"µ": [1, 2.50, None], "a": {"b": "ü"}})
    yield ward
    await connection.close()


async def behind_its_back(ward: Ward, table: str, sql: str, *arguments: object) -> None:
    """As somebody who owns the tables can."""
    await ward.connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    await ward.connection.execute(sql, *arguments)
    await ward.connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


async def test_the_tables_refuse_every_change(ward: Ward) -> None:
    for table in ("alert_history", "audit", "history_root"):
        for statement in (
            f"UPDATE {table} SET {'day = day' if table == 'history_root' else 'at = at'}",
            f"DELETE FROM {table}",
        ):
            with pytest.raises(asyncpg.RaiseError, match=f"{table} is only ever added to"):
                await ward.connection.execute(statement)
    assert (await verify(ward.connection)).problems == []


TAMPERED = [
    ("UPDATE alert_history SET actor = 'grace' WHERE {first}", "entry 1 of its history was changed"),
    ("UPDATE alert_history SET at = at + interval '1 us' WHERE {second}", "entry 2 of its history was changed"),
    ("DELETE FROM alert_history WHERE {first}", "entry 1 of its history is missing"),
    ("DELETE FROM alert_history WHERE {second}", "entry 2 of its history is missing"),
    ("DELETE FROM alert_history WHERE {first} OR {second}", "all of its history is missing"),
    ("INSERT INTO alert_history SELECT {copied} FROM alert_history WHERE {second}", "entry 3 of its history was"),
]


@pytest.mark.parametrize(("sql", "said"), TAMPERED)
async def test_what_was_done_to_a_history_is_said_of_the_alert_and_its_entry(ward: Ward, sql: str, said: str) -> None:
    alert = (await ward.alert())["id"]
    of_alert = f"alert_id = '{alert}' AND number"
    copied = "alert_id, 3, at, event, actor, note, position, state, priority, hash"
    statement = sql.format(first=f"{of_alert} = 1", second=f"{of_alert} = 2", copied=copied)
    await behind_its_back(ward, "alert_history", statement)
    problems = (await verify(ward.connection)).problems
    assert problems
    assert problems[0].startswith(f"alert {alert}: {said}")


async def test_the_audit_is_one_chain_and_the_roots_hold_what_a_day_was(ward: Ward, postgres_url: str) -> None:
    made = await add_roots(ward.connection, at(0) + timedelta(days=2))
    assert [day.isoformat() for day in made] == ["2026-11-22", "2026-11-23"]
    assert await add_roots(ward.connection, at(0) + timedelta(days=2)) == []
    ended = await ran_beside("audit", "verify", "--database-url", postgres_url)
    assert ended == (0, "4 entries of alerts, 3 of the audit, 2 days' roots: unbroken\n", "")

    await behind_its_back(ward, "audit", "DELETE FROM audit WHERE number = 2")
    ended = await ran_beside("audit", "verify", "--database-url", postgres_url)
    assert (ended.code, ended.err) == (1, "audit: entry 2 is missing\n")
    # A whole chain that is made anew, as a trigger would: only the root of its day knows.
    await behind_its_back(
        ward, "alert_history", "UPDATE alert_history AS h SET actor = 'grace', hash = '\\x00' WHERE number = 1"
    )
    for number in (1, 2):
        await behind_its_back(
            ward,
            "alert_history",
            "UPDATE alert_history AS h SET hash = chain_alert_history(h) WHERE number = $1",
            number,
        )
    problems = (await verify(ward.connection)).problems
    assert "2026-11-22: its root is of 4 entries, and not of what is there now" in problems
