"""What is broken on our own way from a pump to a person is one alert of the service, until it is no longer."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from service.core.broker import Report
from service.core.change import Condition
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.way import Broken
from service.ports import ShardStatus
from service.postgres.alerts import AlertStore
from service.postgres.broker import record
from service.postgres.latest import save_shards
from service.postgres.way import look_once

STORE = AlertStore(DEFAULT_RULEBOOK)
AFTER = timedelta(seconds=20)
NOW = datetime.now(UTC).replace(microsecond=0)


class Way:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def execute(self, sql: str, *arguments: object) -> None:
        await self.connection.execute(sql, *arguments)

    async def look(self, s: float = 0, also: Sequence[Broken] = ()) -> list[tuple[str, str, str]]:
        written = await look_once(self.connection, STORE, also, AFTER, NOW + timedelta(seconds=s))
        return [(each.subject, each.condition, each.event) for each in written]

    async def beats(self, role: str, instance: str, s: float) -> None:
        await self.execute(
            "INSERT INTO role_heartbeat VALUES ($1, $2, $3, true, '') ON CONFLICT (role, instance) "
            "DO UPDATE SET at = excluded.at",
            *(role, instance, NOW + timedelta(seconds=s)),
        )

    async def broker_says(self, s: float, *reasons: str, condition: Condition = Condition.BROKER_DEGRADED) -> None:
        reports = [Report(reason, None, reason, condition) for reason in reasons]
        await record(self.connection, reports, NOW + timedelta(seconds=s))

    async def says(self) -> str:
        return await self.connection.fetchval(
            "SELECT body->'data'->>'what' FROM notification WHERE kind = 'activated' ORDER BY created_at DESC LIMIT 1"
        )


@pytest.fixture
async def way(connection: asyncpg.Connection) -> Way:
    await connection.execute(
        "INSERT INTO endpoint (name, url, secret) VALUES ('desk', 'https://x.example', 's');"
        "INSERT INTO pump (pump_id, registered) VALUES ('p1', true);"
    )
    return Way(connection)


async def test_a_role_that_is_not_heard_of_is_told_of_and_ends_when_it_is_again(way: Way) -> None:
    await way.execute("INSERT INTO shard (shard, reason) VALUES (2, '')")
    assert await way.look() == [], "what has never run is for /ready to say"
    await way.beats("deliver", "gone", -600)
    await way.beats("deliver", "alive", 0)
    await way.beats("ingest", "shard-2", 0)
    assert await way.look(19) == []
    assert await way.look(20) == [
        ("service:ingest-2", "role_silent", "condition_began"),
        ("service:deliver", "role_silent", "condition_began"),
    ]
    assert await way.look(30) == []
    await way.beats("ingest", "shard-2", 40)
    assert await way.look(40) == [("service:ingest-2", "role_silent", "condition_ended")]
    await way.beats("deliver", "alive", 50)
    assert await way.look(50) == [("service:deliver", "role_silent", "condition_ended")]
    assert await way.connection.fetchval("SELECT bool_and(state = 'resolved') FROM alert"), "nobody need reset them"


async def test_who_could_not_be_heard_while_the_database_was_away_is_not_called_silent(way: Way) -> None:
    await way.beats("deliver", "alive", -600)
    for back_for_s, found in ((19, []), (20, ["role_silent"])):
        now = NOW + timedelta(seconds=back_for_s)
        written = await look_once(way.connection, STORE, [], AFTER, now, readable_since=NOW)
        assert [each.condition for each in written] == found


async def test_a_broker_that_is_away_is_told_of_with_its_reason_and_not_taken_for_lag(way: Way) -> None:
    await way.execute("INSERT INTO shard (shard) VALUES (0)")
    lost = "broker 127.0.0.1:1883: connection refused"
    for problem in ("", lost, lost):
        await save_shards(way.connection, {0: 0}, {0: ShardStatus(NOW, NOW, problem)})
    await way.execute("UPDATE shard SET trouble_since = $1", NOW)
    await way.beats("ingest", "shard-0", 60)
    assert await way.look(19) == []
    assert await way.look(60) == [("service:shard-0", "broker_unavailable", "condition_began")]
    assert (await way.says()).endswith(f"{lost}.")
    await save_shards(way.connection, {0: 0}, {0: ShardStatus(NOW + timedelta(seconds=61), None, "")})
    assert await way.look(62) == [("service:shard-0", "broker_unavailable", "condition_ended")]


async def test_a_shard_whose_marker_does_not_come_back_lags(way: Way, postgres_url: str) -> None:
    await way.execute("INSERT INTO shard (shard, reason, marker_at) VALUES (0, '', $1)", NOW)
    await way.beats("ingest", "shard-0", 20)
    assert await way.look(20) == []
    assert await way.look(26) == [("service:shard-0", "ingest_lagging", "condition_began")]
    assert "more comes than can be stored" in await way.says()
    await way.execute("UPDATE shard SET marker_at = $1", NOW + timedelta(seconds=25))
    assert await way.look(26) == [("service:shard-0", "ingest_lagging", "condition_ended")]


async def test_notifications_given_up_are_told_of_until_they_are_sent_again(way: Way) -> None:
    await way.execute(
        """
        INSERT INTO alert (id, pump, subject, condition, kind, priority, state, state_since, latching, began_at,
            detected_at, raised_at, detected_position, last_position, simulated, rulebook_version, evidence)
        SELECT gen_random_uuid(), 1, 'pump:p1', 'stall', 'physiological', 'high', 'active', $1, true, $1, $1, $1, 1, 1,
            false, '', '{}'
        """,
        NOW,
    )
    await way.execute(
        """
        INSERT INTO notification (id, alert_id, number, endpoint, kind, priority, body, created_at, due_at, state,
            settled_at)
        SELECT 'n1', alert.id, 1, endpoint.id, 'activated', 'high', '{}', $1, $1, 'failed', $1 FROM alert, endpoint
        """,
        NOW,
    )
    assert await way.look(1) == [("service:delivery", "delivery_given_up", "condition_began")]
    assert "1 notifications" in await way.says()
    assert "desk" in await way.says()
    await way.execute("UPDATE notification SET state = 'pending', settled_at = NULL WHERE id = 'n1'")
    assert await way.look(2) == [("service:delivery", "delivery_given_up", "condition_ended")]


async def test_an_endpoint_that_fails_and_one_that_is_gone_are_told_of_by_name(way: Way) -> None:
    await way.execute("INSERT INTO circuit SELECT id, 5, $1 FROM endpoint", NOW)
    await way.execute(
        "INSERT INTO endpoint (name, url, secret, enabled, disabled_reason) VALUES "
        "('gone', 'https://x.example', 's', false, 'it answered 410'), "
        "('ended', 'https://x.example', 's', false, 'by ada')"
    )
    assert await way.look(59) == [("service:endpoint-gone", "endpoint_disabled", "condition_began")]
    assert await way.look(61) == [("service:endpoint-desk", "endpoint_failing", "condition_began")]
    await way.execute("UPDATE circuit SET opened_at = NULL; UPDATE endpoint SET enabled = true")
    assert {each[2] for each in await way.look(62)} == {"condition_ended"}
    assert await way.look(63) == []


async def test_what_the_broker_has_dropped_is_told_of_for_ten_minutes(way: Way) -> None:
    await way.execute("INSERT INTO broker_trouble VALUES ('dropped', 7, 'it has dropped 7 messages', $1, $1)", NOW)
    assert await way.look(1) == [("service:broker", "broker_dropping", "condition_began")]
    assert "dropped 7 messages" in await way.says()
    assert await way.look(599) == []
    assert await way.look(600) == [], "nobody answers"
    await way.broker_says(601)
    assert await way.look(601) == [("service:broker", "broker_dropping", "condition_ended")]


BEGAN, ENDED = ([("service:broker", "broker_degraded", f"condition_{turn}")] for turn in ("began", "ended"))


async def test_a_broker_that_nobody_hears_from_is_not_whole_again(way: Way) -> None:
    for s in (0, 10, 20):
        await way.broker_says(s, "no leader")
    assert await way.look(20) == BEGAN
    for s in (81, 300, 3600):
        assert await way.look(s) == [], "the database was away, or the watch role, or the node that is asked"
    await way.broker_says(3600)
    assert await way.look(3600) == [], "one answer is not a minute"
    await way.broker_says(3625, "no leader")
    await way.broker_says(3650)
    assert await way.look(3661) == []
    await way.broker_says(3680)
    assert await way.look(3684) == [], "it was not well a minute ago, if only for a moment"
    await way.broker_says(3686)
    assert await way.look(3686) == ENDED


async def test_two_moments_in_which_it_was_not_well_are_not_all_the_time_between_them(way: Way) -> None:
    await way.broker_says(0, "no leader")
    await way.broker_says(540, "no leader")
    assert await way.look(540) == []
    for s in (550, 560):
        await way.broker_says(s, "no leader")
    assert await way.look(560) == BEGAN
    assert await way.connection.fetchval("SELECT began_at FROM alert") == NOW + timedelta(seconds=540)


async def test_what_is_seen_elsewhere_is_named_by_its_beginning(way: Way) -> None:
    outage = Broken(
        condition=Condition.STORAGE_UNAVAILABLE,
        part="storage",
        since=NOW,
        evidence={"reason": "connection refused", "until_ms": int(NOW.timestamp() * 1000) + 600_000},
        by_since=True,
    )
    assert await way.look(660, [outage]) == [("service:storage", "storage_unavailable", "condition_began")]
    assert "10 min: connection refused" in await way.says()
    assert await way.connection.fetchval("SELECT began_at FROM alert") == NOW
    assert await way.look(720) == [("service:storage", "storage_unavailable", "condition_ended")]


async def test_what_is_broken_of_many_shards_of_one_ingester_is_told_once(way: Way) -> None:
    await way.execute(
        "INSERT INTO shard (shard, instance, reason, trouble_since) "
        "SELECT n, 'i' || n % 2, 'broker: connection refused', $1 FROM generate_series(0, 5) AS n",
        NOW,
    )
    for instance in ("i0", "i1"):
        await way.beats("ingest", instance, 30)
    assert await way.look(30) == [
        ("service:ingest-i0", "broker_unavailable", "condition_began"),
        ("service:ingest-i1", "broker_unavailable", "condition_began"),
    ]
    assert "Shard 1, 3, 5 " in await way.says() or "Shard 0, 2, 4 " in await way.says()
    await way.execute("UPDATE shard SET trouble_since = NULL WHERE instance = 'i0'")
    assert await way.look(31) == [("service:ingest-i0", "broker_unavailable", "condition_ended")]
    assert await way.look(60) == [
        ("service:ingest-i0", "role_silent", "condition_began"),
        ("service:ingest-i1", "role_silent", "condition_began"),
        ("service:ingest-i1", "broker_unavailable", "condition_ended"),
    ]
