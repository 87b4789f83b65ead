"""The ingester, the watch and the API are killed (SIGKILL) after each of their statements while alerts change.

Then there is all of a change or nothing of it, and whoever is asked next does it once.
"""

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.core.change import Condition, Turn
from service.postgres.accounts import Role, create_token
from service.postgres.chains import verify
from tests.episodes import at, turned
from tests.failures.killed import STANDS
from tests.failures.lives import Counts, killed_after_each_statement
from tests.loops.driven import Driven, telemetry
from tests.postgres.ward import WARD, Ward

NOW = at(40).isoformat()


@pytest.fixture
async def ward(postgres_url: str) -> AsyncIterator[Ward]:
    connection = await asyncpg.connect(postgres_url)
    yield Ward(connection)
    await connection.close()


async def counts(ward: Ward) -> Counts:
    return dict(await ward.connection.fetchrow(STANDS))


async def sound(ward: Ward) -> None:
    """The chains hold, and each alert's history ends where its row stands."""
    assert (await verify(ward.connection)).problems == []
    rows = await ward.connection.fetch(
        """
        SELECT a.id FROM alert AS a JOIN LATERAL (
            SELECT * FROM alert_history WHERE alert_id = a.id ORDER BY number DESC LIMIT 1) AS h ON true
        WHERE (h.number, h.state, h.priority) IS DISTINCT FROM (a.version, a.state, a.priority)
            OR a.version <> (SELECT count(*) FROM alert_history WHERE alert_id = a.id)
        """
    )
    assert rows == []


async def test_a_batch_changes_alerts_once_wherever_the_ingester_is_killed(ward: Ward, postgres_url: str) -> None:
    await ward.policy()
    await ward.connection.execute("UPDATE endpoint SET accepts_simulated = true")
    driven = Driven(postgres_url)
    await driven.start()
    driven.send("recovers", telemetry(0, [1.0] * 10 + [0.0] * 60))
    await driven.turn()
    await driven.store.close()
    assert await ward.history() == ["condition_began"]
    await ward.arrives()
    before = await counts(ward)

    lives = await killed_after_each_statement("batch", postgres_url)

    lives.fault_points(
        "UPDATE shard SET batch_no",
        "INSERT INTO alert ",
        "INSERT INTO alert_history",
        "UPDATE alert",
        "NOTIFY",
        "COMMIT",
    )
    adds = {"alert": 1, "alert_history": 2, "versions": 2, "notification": 1, "pending": 1, "reading": 110}
    assert lives.times_done(before, adds) == 1
    assert sorted(await ward.history()) == ["condition_began", "condition_began", "condition_ended"]
    told = await ward.connection.fetch("SELECT kind, state FROM notification ORDER BY created_at, state")
    assert [tuple(row) for row in told] == [("activated", "delivered"), ("activated", "pending")]
    await sound(ward)


MOVES = {"alert_history": 1, "audit": 1, "versions": 1}
TELLS = MOVES | {"notification": 1, "pending": 1}


class Person:
    """An administrator who does what the API can do, and asks again when there is no answer."""

    def __init__(self, ward: Ward, url: str, token: str) -> None:
        self._ward, self._url, self._token = ward, url, token

    async def does(self, adds: Counts, method: str, path: str, body: dict[str, object], if_match: str = "*") -> int:
        """How often it is done in the end, if each time adds this."""
        before = await counts(self._ward)
        words = (self._token, NOW, method, path, json.dumps(body), if_match)
        lives = await killed_after_each_statement("command", self._url, *words)
        lives.fault_points("INSERT INTO audit", "COMMIT")
        return lives.times_done(before, adds)


@pytest.fixture
async def person(ward: Ward, postgres_url: str) -> Person:
    await ward.policy()
    await ward.apply(turned(Turn.BEGAN, 30, Condition.RESERVOIR_LOW, pump=await ward.pump("low")), minute=30)
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump("stalled")), minute=30)
    await ward.arrives()
    return Person(ward, postgres_url, await create_token(ward.connection, "ada", Role.ADMINISTRATOR, "test"))


async def alert(ward: Ward, priority: str) -> asyncpg.Record:
    return await ward.connection.fetchrow("SELECT id, pump FROM alert WHERE priority = $1", priority)


async def test_an_answer_is_there_once_or_not_at_all_wherever_the_api_is_killed(ward: Ward, person: Person) -> None:
    high = await alert(ward, "high")
    assert await person.does(TELLS, "POST", f"/alerts/{high['id']}/acknowledge", {"note": "seen"}) == 1
    await sound(ward)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_so_is_everything_else_that_a_person_does(ward: Ward, person: Person) -> None:
    low, high = await alert(ward, "low"), await alert(ward, "high")
    shelf = {"reason": "refill booked", "until": at(60).isoformat()}
    # What is shelved may be shelved again, and is by whoever got no answer.
    assert await person.does(MOVES, "POST", f"/alerts/{low['id']}/shelve", shelf) >= 1
    assert await person.does(TELLS, "POST", f"/alerts/{low['id']}/unshelve", {}) == 1
    await ward.apply(turned(Turn.ENDED, 35, pump=high["pump"]), minute=35)
    await ward.arrives()
    assert await person.does(TELLS, "POST", f"/alerts/{high['id']}/reset", {}) == 1
    put = {"audit": 1, "escalation_policy": 1}
    assert await person.does(put, "PUT", "/escalation/policies/ward", WARD | {"repeat_after_s": 900}, '"1"') == 1
    await ward.connection.execute("UPDATE notification SET state = 'failed' WHERE state = 'pending'")
    failed = await ward.connection.fetchval("SELECT id FROM notification WHERE state = 'failed' LIMIT 1")
    assert await person.does({"audit": 1, "pending": 1}, "POST", f"/deliveries/{failed}/redrive", {}) == 1
    await sound(ward)
