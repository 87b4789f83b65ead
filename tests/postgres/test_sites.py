"""A site that falls silent is one page; its pumps are listed, and told of when they outlast it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
import msgspec
import pytest

from service.core.change import Change
from service.core.lifecycle import AlertWritten
from service.core.rulebook import DEFAULT_RULEBOOK
from service.postgres import alert_queries
from service.postgres.alerts import AlertStore
from service.postgres.silence import look_once
from tests.postgres.test_silence import NOW, STORE, Ward, ward

__all__ = ["ward"]  # the fixture


async def a_site(ward: Ward, pumps: int, *, heard: float = 0.0, spread: float = 0.0, name: str = "north") -> None:
    """Pumps of one site, the first heard at a minute, the others after it within `spread` minutes."""
    await ward.connection.execute("INSERT INTO site (site, name) VALUES ($1, $1)", name)
    await ward.connection.execute(
        """
        INSERT INTO pump (pump_id, site, drug_class, registered, enrolled_at)
        SELECT $1 || '-' || n, $1, 'baclofen', true, $3 FROM generate_series(1, $2::integer) AS n
        """,
        name,
        pumps,
        NOW,
    )
    await ward.connection.execute(
        "INSERT INTO endpoint (name, url, secret) VALUES ($1, 'https://x.example', 's')", name
    )
    await hear(ward, heard, spread, 1, pumps)


async def hear(ward: Ward, minute: float, spread: float, first: int, last: int) -> None:
    await ward.connection.execute(
        """
        INSERT INTO pump_latest
        SELECT pump, $1::timestamptz + $2::interval * ((n - $3)::float8 / greatest($4 - $3, 1)), $1, n,
            0.5, 0.5, 18, 2.9, 0
        FROM pump CROSS JOIN LATERAL (SELECT split_part(pump_id, '-', 2)::integer AS n) AS its
        WHERE n BETWEEN $3::integer AND $4::integer
        ON CONFLICT (pump) DO UPDATE SET received_at = excluded.received_at
        """,
        NOW + timedelta(minutes=minute),
        timedelta(minutes=spread),
        first,
        last,
    )


async def look(ward: Ward, minute: float) -> list[tuple[str, str]]:
    """What was written, by subject; pumps' silence only as how many."""
    written = await look_once(ward.connection, STORE, DEFAULT_RULEBOOK, NOW + timedelta(minutes=minute))
    return [(each.subject, str(each.event)) for each in written if each.subject.startswith("site:")]


async def pages(ward: Ward, minute: float) -> list[str]:
    """What somebody was told of, or will be at once, by then."""
    rows = await ward.connection.fetch(
        "SELECT a.subject, n.kind FROM notification n JOIN alert a ON a.id = n.alert_id "
        "WHERE n.state <> 'collapsed' AND n.due_at <= $1 ORDER BY n.created_at, a.subject",
        NOW + timedelta(minutes=minute),
    )
    return [f"{row['subject']} {row['kind']}" for row in rows]


async def deliver(ward: Ward, minute: float) -> None:
    due = "UPDATE notification SET attempts = 1, state = 'delivered' WHERE state = 'pending' AND due_at <= $1"
    await ward.connection.execute(due, NOW + timedelta(minutes=minute))


async def test_five_hundred_pumps_behind_one_gateway_are_one_page_and_each_is_listed(ward: Ward) -> None:
    await a_site(ward, 500, spread=1.0)
    minutes = [3 + number / 10 for number in range(30)]
    seen = [event for minute in minutes for event in await look(ward, minute)]
    assert seen == [("site:north", "condition_began")]
    assert await pages(ward, 1000) == ["site:north activated"]
    alerts = await ward.connection.fetch("SELECT condition, inhibited_by FROM alert WHERE condition = 'silence'")
    site = await ward.connection.fetchval("SELECT id FROM alert WHERE condition = 'site_silence'")
    assert (len(alerts), {row["inhibited_by"] for row in alerts}) == (500, {site})
    body = msgspec.json.decode(
        await ward.connection.fetchval("SELECT body::text FROM notification WHERE alert_id = $1", site)
    )
    assert body["data"]["subject"] == "site:north"
    assert "of 500 pumps of this site fell silent together" in body["data"]["what"]
    assert "among them north-1, north-10," in body["data"]["what"]
    shown = await alert_queries.inhibited(ward.connection, site)
    assert (len(shown), shown[0]["pumps"], shown[0]["pump_id"]) == (20, 500, "north-1")


async def test_pumps_that_outlast_their_site_are_told_of_then_and_the_others_never(ward: Ward) -> None:
    await a_site(ward, 20)
    await look(ward, 4)
    await deliver(ward, 5)
    await hear(ward, 60, 0, 1, 15)
    assert await look(ward, 60.1) == [("site:north", "condition_ended")]
    await hear(ward, 61, 0, 1, 18)
    await look(ward, 61.1)
    await look(ward, 62.2)
    told = await pages(ward, 63)
    assert sorted(told) == [
        "pump:north-19 activated",
        "pump:north-20 activated",
        "site:north activated",
        "site:north resolved",
    ]
    inhibited = "SELECT count(*) FROM alert WHERE inhibited_by IS NOT NULL AND state = 'resolved'"
    assert await ward.connection.fetchval(inhibited) == 15


async def test_a_pump_that_falls_silent_alone_is_told_of_when_it_cannot_be_its_site(ward: Ward) -> None:
    await a_site(ward, 20)
    await hear(ward, 3, 0, 2, 20)
    await look(ward, 3.5)
    assert await pages(ward, 5.4) == []
    assert await pages(ward, 5.6) == ["pump:north-1 activated"]


async def test_a_page_that_went_out_is_not_taken_back_and_not_sent_twice(ward: Ward) -> None:
    await a_site(ward, 20)
    await hear(ward, 3, 0, 2, 20)
    await look(ward, 3.5)
    await deliver(ward, 6)
    await look(ward, 6.1)
    await deliver(ward, 7)
    await hear(ward, 60, 0, 2, 20)
    await look(ward, 60.1)
    await look(ward, 64)
    assert await pages(ward, 70) == ["pump:north-1 activated", "site:north activated", "site:north resolved"]


async def test_while_we_do_not_hear_a_silent_site_stays_silent(ward: Ward) -> None:
    await a_site(ward, 20)
    assert await look(ward, 4) == [("site:north", "condition_began")]
    await ward.session(-600, marker_s=100)
    await hear(ward, 10, 0, 1, 5)
    assert await look(ward, 11) == []
    await ward.session(-600)
    await hear(ward, 12, 0, 1, 11)
    assert await look(ward, 12.1) == [("site:north", "condition_ended")]


async def test_a_site_gets_more_urgent_and_its_pumps_do_so_quietly(ward: Ward) -> None:
    await a_site(ward, 10)
    await look(ward, 4)
    for hour in (12.2, 24.2):
        await look(ward, hour * 60)
    assert await pages(ward, 10_000) == ["site:north activated", "site:north priority_rose"]
    rows = await ward.connection.fetch("SELECT DISTINCT condition, priority FROM alert ORDER BY 1")
    assert [tuple(row) for row in rows] == [("silence", "high"), ("site_silence", "high")]
    await hear(ward, 25 * 60, 0, 1, 10)
    await look(ward, 25 * 60 + 0.1)
    states = await ward.connection.fetch("SELECT condition, state, count(*) FROM alert GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in states] == [("silence", "resolved", 10), ("site_silence", "latched", 1)]


class OnlySites(AlertStore):
    """The process ends before the pumps of a site are written."""

    async def apply(
        self, connection: asyncpg.Connection, changes: Sequence[Change], now: datetime
    ) -> list[AlertWritten]:
        if any(change.pump for change in changes):
            raise asyncpg.ConnectionDoesNotExistError
        return await super().apply(connection, changes, now)


async def test_a_crash_between_the_site_and_its_pumps_pages_nobody_twice(ward: Ward) -> None:
    await a_site(ward, 20, spread=1.0)
    await look(ward, 3.5)  # some have fallen silent; nobody is told yet
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await look_once(ward.connection, OnlySites(DEFAULT_RULEBOOK), DEFAULT_RULEBOOK, NOW + timedelta(minutes=4.1))
    await look(ward, 4.2)
    assert await pages(ward, 1000) == ["site:north activated"]
