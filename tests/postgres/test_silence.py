"""Silence in the database: judged only when we ourselves hear, kept over restarts, ended by being heard."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from service.core.change import Condition, Turn
from service.core.rulebook import DEFAULT_RULEBOOK, Rulebook, parse_rulebook
from service.postgres.alerts import AlertStore
from service.postgres.silence import look_once
from tests.episodes import at, turned

STORE = AlertStore(DEFAULT_RULEBOOK)
# Long enough ago that the database's clock, by which markers are judged, is past whatever happens here.
NOW = datetime.now(UTC) - timedelta(days=10)


@dataclass
class Ward:
    """A shard that hears, and its pumps. Times are in minutes before or after NOW."""

    connection: asyncpg.Connection
    position: int = 100
    rulebook: Rulebook = DEFAULT_RULEBOOK

    async def a_pump(self, pump_id: str, *, drug_class: str = "baclofen", in_service: bool = True) -> int:
        return await self.connection.fetchval(
            "INSERT INTO pump (pump_id, drug_class, registered, in_service, enrolled_at) VALUES ($1, $2, true, $3, $4) "
            "RETURNING pump",
            pump_id,
            drug_class,
            in_service,
            NOW,
        )

    async def hears(self, pump: int, minute: float = 0, *, again: bool = False) -> None:
        """`again`: it repeats itself, so the position stays."""
        self.position += not again
        await self.connection.execute(
            """
            INSERT INTO pump_latest VALUES ($1, $2, $2, $3, 0.5, 0.5, 18, 2.9, 0)
            ON CONFLICT (pump) DO UPDATE SET received_at = $2, position = $3
            """,
            pump,
            NOW + timedelta(minutes=minute),
            self.position,
        )

    async def session(self, minute: float, *, marker_s: float = 0.0) -> None:
        """The broker session stands since then; the last marker came `marker_s` ago by the database's clock."""
        await self.connection.execute(
            "UPDATE shard SET session_since = $1, marker_at = now() - make_interval(secs => $2)",
            NOW + timedelta(minutes=minute),
            marker_s,
        )

    async def look(self, minute: float) -> list[tuple[str, str, str]]:
        written = await look_once(self.connection, STORE, self.rulebook, NOW + timedelta(minutes=minute))
        return [(each.subject.removeprefix("pump:"), str(each.event), str(each.priority)) for each in written]

    async def verdict(self) -> list[tuple[str, str]]:
        return [tuple(row) for row in await self.connection.fetch("SELECT condition, verdict FROM verdict ORDER BY 1")]


@pytest.fixture
async def ward(postgres_url: str) -> AsyncIterator[Ward]:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("INSERT INTO shard (shard) VALUES (0)")
    ward = Ward(connection)
    await ward.session(-600)
    yield ward
    await connection.close()


async def test_a_pump_falls_silent_gets_more_urgent_and_is_heard_again(ward: Ward) -> None:
    pump = await ward.a_pump("p1")
    await ward.hears(pump, 0)
    seen = [await ward.look(minute) for minute in (2.9, 3.1, 3.2, 60 * 12.1, 60 * 12.2, 60 * 24.1, 60 * 24.2)]
    assert seen == [
        [],
        [("p1", "condition_began", "low")],
        [],
        [("p1", "priority_rose", "medium")],
        [],
        [("p1", "priority_rose", "high")],
        [],
    ]
    assert await ward.verdict() == [("silence", "holds")]
    await ward.hears(pump, 60 * 25)
    assert await ward.look(60 * 25.1) == [("p1", "condition_ended", "high")]
    assert await ward.verdict() == [("silence", "does_not_hold")]
    [alert] = await ward.connection.fetch("SELECT * FROM alert")
    assert NOW - alert["began_at"] < timedelta(milliseconds=1)
    assert alert["state"] == "latched"


async def test_silence_that_comes_back_while_latched_is_the_same_alert_and_ends_when_heard(ward: Ward) -> None:
    pump = await ward.a_pump("p1")
    await ward.hears(pump, 0)
    await ward.look(60 * 25)
    await ward.hears(pump, 60 * 26)
    assert await ward.look(60 * 26.01) == [("p1", "condition_ended", "high")]
    assert await ward.look(60 * 27) == [("p1", "condition_began", "high")]
    assert await ward.look(60 * 27.1) == []
    await ward.hears(pump, 60 * 28)
    assert await ward.look(60 * 28.01) == [("p1", "condition_ended", "high")]
    assert await ward.connection.fetchval("SELECT count(*) FROM alert") == 1


async def test_two_silences_after_the_same_reading_are_two_alerts(ward: Ward) -> None:
    pump = await ward.a_pump("p1")
    await ward.hears(pump, 0)
    assert await ward.look(10) == [("p1", "condition_began", "low")]
    await ward.hears(pump, 11, again=True)
    assert await ward.look(12) == [("p1", "condition_ended", "low")]
    assert await ward.look(20) == [], "not within ten minutes of the last end"
    assert await ward.look(22.1) == [("p1", "condition_began", "low")]
    first, second = await ward.connection.fetch("SELECT * FROM alert ORDER BY detected_position")
    assert second["previous_id"] == first["id"]


async def test_a_pump_that_was_never_heard_is_silent_from_its_enrolment_on(ward: Ward) -> None:
    await ward.a_pump("p1")
    assert await ward.look(2.9) == []
    assert await ward.look(3.1) == [("p1", "condition_began", "low")]
    assert await ward.look(3.2) == []


async def test_a_pump_out_of_service_may_be_silent(ward: Ward) -> None:
    await ward.a_pump("p1", in_service=False)
    assert await ward.look(100) == []


async def test_silence_is_not_judged_while_we_do_not_hear(ward: Ward) -> None:
    await ward.hears(await ward.a_pump("p1"), 0)
    await ward.session(-600, marker_s=16)
    assert await ward.look(100) == []
    await ward.connection.execute("UPDATE shard SET marker_at = NULL")
    assert await ward.look(100) == []
    await ward.connection.execute("UPDATE shard SET marker_at = now(), session_since = NULL")
    assert await ward.look(100) == []
    await ward.session(-600)
    assert await ward.look(100) == [("p1", "condition_began", "low")]


async def test_a_marker_of_an_earlier_session_says_nothing(ward: Ward) -> None:
    pump = await ward.a_pump("p1")
    await ward.hears(pump, 0)
    await ward.connection.execute("UPDATE shard SET marker_at = now(), session_since = now() + interval '1 s'")
    late = (datetime.now(UTC) - NOW) / timedelta(minutes=1) + 100
    assert await ward.look(late) == []


async def test_after_our_own_outage_a_pump_has_its_interval_to_be_heard(ward: Ward) -> None:
    minutely, hourly, quick = [await ward.a_pump(name) for name in ("p1", "p2", "p3")]
    await ward.connection.execute("UPDATE pump SET interval_s = 3600 WHERE pump = $1", hourly)
    await ward.connection.execute("UPDATE pump SET interval_s = 1 WHERE pump = $1", quick)
    for pump in (minutely, hourly, quick):
        await ward.hears(pump, 0)
    await ward.session(600)
    assert await ward.look(600.4) == []
    assert await ward.look(600.6) == [("p3", "condition_began", "low")], "half a minute at least"
    await ward.hears(minutely, 600.9)
    assert await ward.look(601.1) == []
    assert await ward.look(659) == [("p1", "condition_began", "low")]
    assert await ward.look(661) == [("p2", "condition_began", "low")]


async def test_being_heard_counts_though_we_are_not_caught_up(ward: Ward) -> None:
    pump = await ward.a_pump("p1")
    await ward.hears(pump, 0)
    await ward.look(10)
    await ward.session(-600, marker_s=100)
    await ward.hears(pump, 11)
    assert await ward.look(11) == [("p1", "condition_ended", "low")]


async def test_what_was_sent_after_the_last_marker_may_not_be_stored_yet_so_silence_is_judged_as_of_the_marker(
    ward: Ward,
) -> None:
    pump = await ward.a_pump("p1")
    ago = (datetime.now(UTC) - NOW) / timedelta(minutes=1)
    await ward.session(-600, marker_s=12)
    await ward.hears(pump, ago - 3.1)
    assert await ward.look(ago) == [], "three intervals before the marker it was heard"
    await ward.session(-600, marker_s=0)
    assert await ward.look(ago) == [("p1", "condition_began", "low")]


async def test_a_pump_that_trembles_on_its_limit_is_told_of_at_most_twice_in_ten_minutes(ward: Ward) -> None:
    pump = await ward.a_pump("p1")
    told: list[float] = []
    for turn in range(12):
        await ward.hears(pump, turn * 3.1)
        told += [turn * 3.1 + 0.1] * len(await ward.look(turn * 3.1 + 0.1))
        told += [turn * 3.1 + 3.05] * len(await ward.look(turn * 3.1 + 3.05))
    assert len(told) >= 5
    assert all(sum(at <= other < at + 10 for other in told) <= 2 for at in told)


async def test_silence_never_clears_another_alert(ward: Ward) -> None:
    pump = await ward.a_pump("p1")
    await ward.hears(pump, 0)
    async with ward.connection.transaction():
        await STORE.apply(ward.connection, [turned(Turn.BEGAN, 30, Condition.STALL, pump=pump)], at(30))
    await ward.look(10)
    await ward.hears(pump, 20)
    await ward.look(20)
    states = await ward.connection.fetch("SELECT condition, state, version FROM alert ORDER BY condition")
    assert [tuple(row) for row in states] == [("silence", "resolved", 2), ("stall", "active", 1)]


async def test_a_whole_fleet_may_fall_silent_at_once(ward: Ward) -> None:
    await ward.connection.execute(
        "INSERT INTO pump (pump_id, enrolled_at) SELECT 'p' || n, $1 FROM generate_series(1, 2500) AS n",
        NOW,
    )
    assert len(await ward.look(10)) == 2500
    assert await ward.look(10.1) == []


async def test_a_pump_and_a_drug_class_may_have_limits_of_their_own(ward: Ward) -> None:
    rulebook = parse_rulebook(
        "[drug_class.opioid.silence]\nafter_intervals = 2\n[pump.patient.silence]\nafter_intervals = 10\n"
        "reason = 'sends every ten minutes while travelling'\nauthor = 'x'\nexpires = 2099-12-31\n"
    )
    assert isinstance(rulebook, Rulebook)
    ward.rulebook = rulebook
    for pump_id, drug_class in (("usual", "baclofen"), ("strict", "opioid"), ("patient", "opioid")):
        await ward.hears(await ward.a_pump(pump_id, drug_class=drug_class))
    await ward.session(-60)
    told = {minute: [pump_id for pump_id, *_ in await ward.look(minute)] for minute in (1.9, 2.5, 3.5, 9.9, 10.5)}
    assert told == {1.9: [], 2.5: ["strict"], 3.5: ["usual"], 9.9: [], 10.5: ["patient"]}


async def test_silence_that_was_announced_is_not_told_of_before_it_should_be_over(ward: Ward) -> None:
    away, other = await ward.a_pump("away"), await ward.a_pump("other")
    for pump in (away, other):
        await ward.hears(pump, 0)
    await ward.connection.execute(
        "INSERT INTO care (pump, kind, from_at, until_at, recorded_at, recorded_by) "
        "VALUES ($1, 'absence', $2, $3, $2, 'a')",
        away,
        NOW,
        NOW + timedelta(minutes=60),
    )
    assert await ward.look(30) == [("other", "condition_began", "low")]
    assert await ward.look(62) == []  # it has the usual time to be heard again
    assert [said[:2] for said in await ward.look(64)] == [("away", "condition_began")]
    await ward.hears(away, 65)
    assert [said[:2] for said in await ward.look(66)] == [("away", "condition_ended")]


async def test_an_absence_that_was_ended_early_explains_nothing_more(ward: Ward) -> None:
    pump = await ward.a_pump("p1")
    await ward.hears(pump, 0)
    await ward.connection.execute(
        "INSERT INTO care (pump, kind, from_at, until_at, recorded_at, recorded_by, ended_at, ended_by) "
        "VALUES ($1, 'absence', $2, $3, $2, 'a', $4, 'a')",
        pump,
        NOW,
        NOW + timedelta(minutes=600),
        NOW + timedelta(minutes=10),
    )
    assert await ward.look(9) == []
    assert [said[:2] for said in await ward.look(14)] == [("p1", "condition_began")]
