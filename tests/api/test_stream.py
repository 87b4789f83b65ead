"""What changes reaches those who look, once, in order, and again after they were away."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest

from service.api import live as looking
from service.core.access import Scope
from service.core.change import Turn
from service.postgres import changes
from service.postgres.accounts import Role, create_token
from tests.api.ward import Ward, eventually, problem
from tests.episodes import turned
from tests.postgres.alerting import a_pump, apply

WITHIN_S = 60


class Event(NamedTuple):
    kind: str
    id: str | None
    data: dict[str, Any]


@asynccontextmanager
async def following(client: httpx.AsyncClient, query: str = "", last: str = "") -> AsyncIterator[AsyncIterator[Event]]:
    headers = {"Last-Event-ID": last} if last else {}
    async with client.stream("GET", f"/stream?{query}", headers=headers, timeout=WITHIN_S) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        async with aclosing(_events(answer)) as events:
            yield events


async def _events(answer: httpx.Response) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
            fields = {}


async def some(events: AsyncIterator[Event], count: int) -> list[Event]:
    async with asyncio.timeout(WITHIN_S):
        return [await anext(events) for _ in range(count)]


async def stall(connection: asyncpg.Connection, pump: int) -> None:
    await apply(connection, turned(Turn.BEGAN, 30, pump=pump))


async def test_an_alert_and_its_answer_reach_those_who_look(ward: Ward) -> None:
    pump = await a_pump(ward.database)
    async with following(ward.viewer) as events:
        (hello,) = await some(events, 1)
        assert hello.kind == "hello"
        await stall(ward.database, pump)
        (alert,) = await some(events, 1)
        assert alert.kind == "alert"
        assert (alert.data["condition"], alert.data["state"], alert.data["subject"]) == ("stall", "active", "pump:p1")
        answered = await ward.clinician.post(f"/alerts/{alert.data['alert_id']}/acknowledge", json={"note": "seen"})
        assert answered.status_code == 200, answered.text
        async with asyncio.timeout(WITHIN_S):
            while alert.data["acknowledged_by"] is None:
                alert = await anext(events)
        assert alert.data["acknowledged_by"] == "the-clinician"


async def test_whoever_was_away_gets_what_was_missed_and_nothing_twice(ward: Ward) -> None:
    pumps = [await a_pump(ward.database, f"p{number}") for number in range(1, 5)]
    async with following(ward.viewer) as events:
        await some(events, 1)
        await stall(ward.database, pumps[0])
        (first,) = await some(events, 1)
    for pump in pumps[1:3]:
        await stall(ward.database, pump)
    async with following(ward.viewer, last=first.id or "") as events:
        missed = [event for event in await some(events, 3) if event.kind == "alert"]
        assert [event.data["subject"] for event in missed] == ["pump:p2", "pump:p3"]
        await stall(ward.database, pumps[3])
        (newest,) = await some(events, 1)
        assert newest.data["subject"] == "pump:p4"


async def test_what_commits_late_is_not_skipped(ward: Ward) -> None:
    slow, quick = await a_pump(ward.database, "slow"), await a_pump(ward.database, "quick")
    other = await asyncpg.connect(ward.app.state.context.settings.database_url)
    async with following(ward.viewer, "kinds=alert,verdict") as events:
        await some(events, 1)
        transaction = other.transaction()
        await transaction.start()
        await other.execute(
            "INSERT INTO verdict (pump, condition, verdict, since) VALUES ($1, 'stall', 'holds', now())", slow
        )
        await stall(ward.database, quick)
        await transaction.commit()
        seen = {event.data.get("pump_id") or event.data["subject"] for event in await some(events, 2)}
        assert seen == {"slow", "pump:quick"}
    await other.close()


async def test_one_who_sees_one_site_is_shown_that_site(ward: Ward) -> None:
    await ward.rows("INSERT INTO site (site, name) VALUES ('north', 'North'), ('south', 'South')")
    for site in ("south", "north"):
        await a_pump(ward.database, site)
        await ward.rows("UPDATE pump SET site = $1 WHERE pump_id = $1", site)
    token = await create_token(ward.database, "northerner", Role.VIEWER, "test", sites=["north"], scopes=[Scope.READ])
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=ward.viewer.base_url, headers=headers, timeout=WITHIN_S) as northerner,
        following(northerner, "kinds=verdict") as events,
    ):
        await some(events, 1)
        for site in ("south", "north"):
            await ward.rows(
                "INSERT INTO verdict (pump, condition, verdict, since) "
                "SELECT pump, 'stall', 'holds', now() FROM pump WHERE pump_id = $1",
                site,
            )
        (shown,) = await some(events, 1)
        assert shown.data["site"] == "north"


async def test_the_newest_readings_of_some_pumps_are_shown(ward: Ward) -> None:
    pump = await a_pump(ward.database)
    await a_pump(ward.database, "p2")
    async with following(ward.viewer, "kinds=reading&pump=p1") as events:
        await some(events, 1)
        await ward.rows(
            """INSERT INTO pump_latest (pump, received_at, measured_at, position, program_ml_d, flow_ml_d, reservoir_ml,
                                        battery_v, mode)
               SELECT pump, now() + interval '1 minute', now(), 1, 0.5, 0.49, 18, 2.9, 0 FROM pump"""
        )
        (shown,) = await some(events, 1)
        assert (shown.kind, shown.id) == ("reading", None)
        assert shown.data["pump_id"] == "p1"
        assert shown.data["flow_ml_d"] == pytest.approx(0.49)
    assert pump


async def test_what_is_no_longer_kept_is_said_so(ward: Ward) -> None:
    pump = await a_pump(ward.database)
    await stall(ward.database, pump)
    await changes.forget(ward.database, ward.clock.now + timedelta(days=400))
    async with following(ward.viewer, last="1-1") as events:
        (first,) = await some(events, 1)
        assert first.kind == "reload"


async def test_one_who_does_not_read_is_let_go_with_a_reason(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MOST_WAITING", 3)
    pump = await a_pump(ward.database)
    live: looking.Live = ward.app.state.live
    async with following(ward.viewer, "kinds=verdict") as events:
        await some(events, 1)
        (look,) = live._looks
        await ward.database.executemany(
            "INSERT INTO verdict (pump, condition, verdict, since) VALUES ($1, $2, 'holds', now())",
            [(pump, f"c{number}") for number in range(500)],
        )
        await eventually(lambda: _let_go(look))
        async with asyncio.timeout(WITHIN_S):
            kinds = [event async for event in events]
        assert kinds[-1].kind == "bye"
        assert kinds[-1].data == {"reason": "too_slow"}
        assert len(kinds) < 500


async def _let_go(look: looking.Look) -> bool:
    return bool(look.why)


async def test_what_is_wrong_with_the_question_is_named(ward: Ward) -> None:
    for query, headers, field in (
        ("kinds=everything", {}, "kinds"),
        ("kinds=reading", {}, "pump"),
        ("pump=no/such", {}, "pump.0"),
        ("", {"Last-Event-ID": "yesterday"}, "last-event-id"),
    ):
        answer = problem(await ward.viewer.get(f"/stream?{query}", headers=headers), 422)
        assert answer["errors"][0]["field"] == field
    problem(await ward.client.get("/api/v1/stream"), 401)
