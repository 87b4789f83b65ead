"""Pumps that are in no list: a few are told of each for itself, many together, and nobody is forgotten."""

import asyncpg

from service.core.rulebook import DEFAULT_RULEBOOK
from service.postgres.alerts import AlertStore
from service.postgres.unlisted import FEW, look_once
from tests.episodes import at
from tests.postgres.ward import Ward

STORE = AlertStore(DEFAULT_RULEBOOK)
_HEARD = """
INSERT INTO pump (pump_id, registered)
SELECT 'p' || lpad(number::text, 4, '0'), false FROM generate_series($1::integer, $2::integer) AS number
"""
_LIST = "UPDATE pump SET registered = true WHERE pump_id > $1"
_OPEN = """
SELECT count(*) AS alerts, count(*) FILTER (WHERE inhibited_by IS NOT NULL) AS inhibited
FROM alert WHERE pump IS NOT NULL AND state = 'active'
"""


async def test_two_hundred_unlisted_pumps_are_told_of_once(connection: asyncpg.Connection) -> None:
    ward = Ward(connection)
    await ward.endpoint("desk")
    await connection.execute(_HEARD, 1, 3)
    assert len(await look_once(connection, STORE, at(0))) == 3
    await connection.execute(_HEARD, 4, 200)
    assert len(await look_once(connection, STORE, at(1))) == 198
    assert await look_once(connection, STORE, at(2)) == []
    assert await ward.told() == ["activated desk"] * 4, "three of them, and all the others"
    assert tuple(await connection.fetchrow(_OPEN)) == (200, 197)
    what = await connection.fetchval("SELECT body->'data'->>'what' FROM notification WHERE created_at = $1", at(1))
    assert what == "200 pumps are heard that are not in the registry (0 of them simulated); the first of them is p0001."
    await ward.arrives()

    await connection.execute(_HEARD, 201, 201)
    assert len(await look_once(connection, STORE, at(3))) == 1
    assert tuple(await connection.fetchrow(_OPEN)) == (201, 198)

    await connection.execute(_LIST, "p0005")
    await look_once(connection, STORE, at(4))
    assert FEW == 5
    assert tuple(await connection.fetchrow(_OPEN)) == (5, 0)
    told = await ward.told(at(4))
    assert sorted(told) == ["activated desk"] * 2 + ["resolved desk"], "two that nobody had heard of, and the end"
    await connection.execute(_LIST, "")
    assert len(await look_once(connection, STORE, at(5))) == 5
    assert await look_once(connection, STORE, at(6)) == []
