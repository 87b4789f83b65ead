"""Alerts that are about no pump: a site, the service itself."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from service.core.change import Change, Condition, Turn
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.subject import NO_PUMP, service_subject, site_subject
from service.postgres import alert_queries
from service.postgres.alerts import AlertStore
from tests.episodes import at, ms

STORE = AlertStore(DEFAULT_RULEBOOK)


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(
        """
        INSERT INTO site (site, name) VALUES ('north', 'North'), ('lab', 'Lab');
        INSERT INTO pump (pump_id, site, simulated) VALUES ('p1', 'north', false), ('p2', 'north', true),
            ('s1', 'lab', true);
        INSERT INTO endpoint (name, url, secret) VALUES ('clinic', 'https://x.example', 's');
        """
    )
    yield connection
    await connection.close()


def about(subject: str, turn: Turn = Turn.BEGAN, minute: float = 0) -> Change:
    moment = ms(at(minute))
    return Change(
        NO_PUMP, Condition.SITE_SILENCE, turn, 1, moment, at_ms=moment, began_ms=moment, received_ms=moment,
        subject=subject,
    )  # fmt: skip


async def apply(connection: asyncpg.Connection, *changes: Change, minute: float = 0) -> list[str]:
    async with connection.transaction():
        return [str(each.event) for each in await STORE.apply(connection, changes, at(minute))]


async def test_one_alert_of_a_subject_is_open_and_it_names_what_it_is_about(connection: asyncpg.Connection) -> None:
    north, service = site_subject("north"), service_subject("storage")
    assert await apply(connection, about(north), about(service)) == ["condition_began"] * 2
    assert await apply(connection, about(north, minute=1), about(service, minute=1), minute=1) == []
    shown = await alert_queries.alerts(
        connection, after=None, states=None, pump_id=None, conditions=None, priorities=None, since=None, limit=9
    )
    assert {(row["subject"], row["pump_id"], row["site"]) for row in shown} == {
        ("site:north", None, "north"),
        ("service:storage", None, None),
    }
    bodies = [msgspec.json.decode(row[0]) for row in await connection.fetch("SELECT body::text FROM notification")]
    assert {(body["data"]["subject"], body["data"]["pump_id"]) for body in bodies} == {(north, None), (service, None)}
    assert await apply(connection, about(north, Turn.ENDED, 2), minute=2) == ["condition_ended"]
    assert await apply(connection, about(north, minute=3), minute=3) == ["condition_began"]
    first, second = await connection.fetch("SELECT * FROM alert WHERE subject = $1 ORDER BY raised_at", north)
    assert second["previous_id"] == first["id"]


async def test_a_person_acknowledges_an_alert_about_the_service(connection: asyncpg.Connection) -> None:
    await apply(connection, about(service_subject("storage")))
    alert = await connection.fetchval("SELECT id FROM alert")
    written = await STORE.acknowledge(connection, alert, "ada", "", at(1))
    assert (written.subject, written.event) == ("service:storage", "acknowledged")


async def test_a_site_of_simulated_pumps_is_simulated(connection: asyncpg.Connection) -> None:
    await apply(connection, about(site_subject("north")), about(site_subject("lab")))
    rows = await connection.fetch("SELECT site, simulated FROM alert ORDER BY site")
    assert [tuple(row) for row in rows] == [("lab", True), ("north", False)]


async def test_two_who_notice_at_once_raise_one_alert(connection: asyncpg.Connection, postgres_url: str) -> None:
    other = await asyncpg.connect(postgres_url)
    found = await asyncio.gather(
        *(apply(each, about(service_subject("storage"), minute=0)) for each in (connection, other))
    )
    await other.close()
    assert sorted(map(len, found)) == [0, 1]
    assert await connection.fetchval("SELECT count(*) FROM alert") == 1
