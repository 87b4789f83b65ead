"""Our own ears: a shard that is not caught up, and a broker that has forgotten, are told of as the service's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from service.core.rulebook import DEFAULT_RULEBOOK
from service.postgres.alerts import AlertStore
from service.postgres.fence import FencedWriter
from service.postgres.shards import look_once

STORE = AlertStore(DEFAULT_RULEBOOK)
NOW = datetime.now(UTC)


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("INSERT INTO shard (shard, session_since, marker_at) VALUES (3, $1, now())", NOW)
    yield connection
    await connection.close()


async def look(connection: asyncpg.Connection, minute: float = 0) -> list[tuple[str, str, str, str]]:
    written = await look_once(connection, STORE, DEFAULT_RULEBOOK, NOW + timedelta(minutes=minute))
    return [(each.subject, each.condition, each.event, each.priority) for each in written]


async def heard(connection: asyncpg.Connection, s_ago: float) -> None:
    await connection.execute(
        "UPDATE shard SET session_since = now() - interval '1 h', marker_at = now() - make_interval(secs => $1)", s_ago
    )


async def test_a_shard_that_is_not_caught_up_for_a_minute_is_one_alert_until_it_is_again(
    connection: asyncpg.Connection,
) -> None:
    await heard(connection, 50)
    assert await look(connection) == []
    await heard(connection, 61)
    assert await look(connection) == [("service:shard-3", "not_watching", "condition_began", "medium")]
    assert await look(connection, 1) == []
    await heard(connection, 20)
    assert await look(connection, 2) == [], "not yet caught up"
    await heard(connection, 1)
    assert await look(connection, 3) == [("service:shard-3", "not_watching", "condition_ended", "medium")]


async def test_a_takeover_does_not_hide_for_how_long_nobody_watched(
    connection: asyncpg.Connection, postgres_url: str
) -> None:
    await heard(connection, 55)
    writer = FencedWriter(postgres_url, 3)
    await writer.take_over("another")
    await writer.close()
    assert await look(connection) == []
    await connection.execute("UPDATE shard SET caught_up_at = caught_up_at - interval '10 s'")
    assert [each[:3] for each in await look(connection)] == [("service:shard-3", "not_watching", "condition_began")]


async def test_a_session_that_the_broker_has_forgotten_is_one_alert_each_time(connection: asyncpg.Connection) -> None:
    lost = "UPDATE shard SET session_lost_at = $1"
    await connection.execute(lost, NOW)
    assert await look(connection, 0.1) == [("service:shard-3", "broker_session_lost", "condition_began", "low")]
    assert await look(connection, 9) == []
    assert await look(connection, 10) == [("service:shard-3", "broker_session_lost", "condition_ended", "low")]
    assert await look(connection, 11) == []
    await connection.execute(lost, NOW + timedelta(minutes=20))
    assert [each[2] for each in await look(connection, 20.1)] == ["condition_began"]


async def test_many_deaf_shards_are_one_alert_until_they_hear_again(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "INSERT INTO shard (shard, session_since) SELECT n, now() FROM generate_series(4, 20) AS n"
    )
    await connection.execute("UPDATE shard SET marker_at = now() - interval '2 minutes'")
    assert await look(connection) == [("service:shards", "not_watching", "condition_began", "medium")]
    assert await look(connection) == []
    evidence = await connection.fetchval("SELECT evidence ->> 'shards' FROM alert WHERE subject = 'service:shards'")
    assert evidence == "3-20"

    heard = "UPDATE shard SET marker_at = now(), session_since = now() - interval '1 h' WHERE shard > $1"
    await connection.execute(heard, 12)
    assert await look(connection) == [], "many are still deaf"
    await connection.execute(heard, 3)
    assert sorted(each[:3] for each in await look(connection)) == [
        ("service:shard-3", "not_watching", "condition_began"),
        ("service:shards", "not_watching", "condition_ended"),
    ]
    await connection.execute(heard, 2)
    assert [each[:3] for each in await look(connection)] == [("service:shard-3", "not_watching", "condition_ended")]
