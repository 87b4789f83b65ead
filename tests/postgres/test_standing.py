"""What stands in the tables: pumps that nobody has listed, clocks that are off."""

import asyncpg
import pytest

from service.core.change import Turn
from service.core.rulebook import DEFAULT_RULEBOOK, Rulebook, parse_rulebook
from service.postgres.alerts import AlertStore
from service.postgres.standing import look_once
from tests.episodes import at, turned

STORE = AlertStore(DEFAULT_RULEBOOK)


async def look(connection: asyncpg.Connection, minute: float) -> list[tuple[str, str, str, str]]:
    written = await look_once(connection, STORE, DEFAULT_RULEBOOK, at(minute))
    return [(each.subject.removeprefix("pump:"), each.condition, each.event, each.priority) for each in written]


async def test_an_unlisted_pump_has_an_alert_until_it_is_listed(connection: asyncpg.Connection) -> None:
    await connection.execute("INSERT INTO pump (pump_id, registered) VALUES ('listed', true), ('new', false)")
    assert await look(connection, 0) == [("new", "unregistered", "condition_began", "low")]
    assert await look(connection, 1) == []
    await connection.execute("UPDATE pump SET registered = true")
    assert await look(connection, 2) == [("new", "unregistered", "condition_ended", "low")]
    assert await look(connection, 3) == []


async def test_a_clock_that_is_off_has_an_alert_until_it_agrees(connection: asyncpg.Connection) -> None:
    pump = await connection.fetchval("INSERT INTO pump (pump_id, registered) VALUES ('p1', true) RETURNING pump")

    async def offset(position: int, offset_ms: int) -> None:
        await connection.execute("INSERT INTO clock_offset VALUES ($1, $2, $3)", pump, position, offset_ms)

    await offset(100, 1_700_000_000_000)
    assert await look(connection, 0) == [("p1", "clock_off", "condition_began", "low")]
    await offset(200, 1_600_000_000_000)
    assert await look(connection, 1) == [], "it is off as before, if by more"
    await offset(300, 0)
    assert await look(connection, 2) == [("p1", "clock_off", "condition_ended", "low")]
    assert await look(connection, 3) == []
    await offset(400, 5_000_000)
    assert await look(connection, 4) == [("p1", "clock_off", "condition_began", "low")]
    assert await connection.fetchval("SELECT count(*) FROM alert") == 2


@pytest.fixture
async def pump(connection: asyncpg.Connection) -> int:
    """A pump whose shard is caught up."""
    await connection.execute("INSERT INTO shard (shard, session_since, marker_at) VALUES (0, $1, now())", at(-600))
    return await connection.fetchval(
        "INSERT INTO pump (pump_id, registered, drug_class) VALUES ('p1', true, 'ziconotide') RETURNING pump"
    )


async def stall(connection: asyncpg.Connection, pump: int, turn: Turn, minute: int) -> None:
    async with connection.transaction():
        await STORE.apply(connection, [turned(turn, minute, pump=pump, step=1)], at(minute))


async def hear(connection: asyncpg.Connection, pump: int, minute: float) -> None:
    await connection.execute(
        "INSERT INTO pump_latest (pump, received_at) VALUES ($1, $2) ON CONFLICT (pump) DO UPDATE SET received_at = $2",
        pump,
        at(minute),
    )


async def test_silence_after_a_stall_is_a_lock_that_names_the_stall_and_ends_when_the_pump_is_heard(
    connection: asyncpg.Connection, pump: int
) -> None:
    await hear(connection, pump, 30)
    await stall(connection, pump, Turn.BEGAN, 30)
    assert await look(connection, 150) == []
    assert await look(connection, 151) == [("p1", "telemetry_lock", "condition_began", "high")]
    assert await look(connection, 152) == []
    ids = {row["condition"]: row for row in await connection.fetch("SELECT id, condition, evidence::text FROM alert")}
    assert str(ids["stall"]["id"]) in ids["telemetry_lock"]["evidence"]
    await hear(connection, pump, 160)
    assert await look(connection, 161) == [("p1", "telemetry_lock", "condition_ended", "high")]
    assert await look(connection, 162) == []


async def test_nobody_is_called_locked_while_we_do_not_hear_or_when_the_stall_is_over(
    connection: asyncpg.Connection, pump: int
) -> None:
    await hear(connection, pump, 30)
    await stall(connection, pump, Turn.BEGAN, 30)
    await connection.execute("UPDATE shard SET marker_at = now() - interval '1 minute'")
    assert await look(connection, 500) == []
    await connection.execute("UPDATE shard SET marker_at = now(), session_since = $1", at(499.5))
    assert await look(connection, 500) == [], "it has had no time to reconnect"
    await stall(connection, pump, Turn.ENDED, 40)
    await connection.execute("UPDATE shard SET session_since = $1", at(0))
    assert await look(connection, 500) == []


async def test_readings_lost_for_good_are_one_alert_that_ends_after_a_day_without(
    connection: asyncpg.Connection, pump: int
) -> None:
    async def lose(first: int, last: int, minute: float, *, closed: bool = False) -> None:
        await connection.execute(
            "INSERT INTO gap VALUES ($1, $2, $3, $4, $5, true)",
            *(pump, first, last, at(minute), at(minute) if closed else None),
        )

    await lose(10, 14, 0)
    await lose(30, 99, 1, closed=True)
    assert await look(connection, 2) == [], "five are few, and what came after all is not lost"
    await lose(20, 24, 3)
    assert await look(connection, 4) == [("p1", "sequence_gap", "condition_began", "low")]
    await lose(200, 999, 600)
    assert await look(connection, 1500) == []
    assert await look(connection, 600 + 1440) == [("p1", "sequence_gap", "condition_ended", "low")]
    await lose(2000, 2999, 2100)
    assert await look(connection, 2101) == [("p1", "sequence_gap", "condition_began", "low")]
    assert await connection.fetchval("SELECT count(*) FROM alert") == 2


async def test_messages_whose_place_cannot_be_are_one_alert_until_a_day_without(
    connection: asyncpg.Connection, pump: int
) -> None:
    await connection.execute(
        "INSERT INTO quarantine (received_at, topic, reason, detail, length, sha256, head) "
        "VALUES ($1, 'pumps/v1/p1/telemetry', 'implausible_boot', '', 0, '', '')",
        at(0),
    )
    assert await look(connection, 1) == [("p1", "implausible_boot", "condition_began", "low")]
    assert await look(connection, 1000) == []
    assert await look(connection, 1441) == [("p1", "implausible_boot", "condition_ended", "low")]
    assert await look(connection, 1442) == []


async def test_a_pump_taken_out_of_service_is_no_longer_told_of(connection: asyncpg.Connection, pump: int) -> None:
    await connection.execute("INSERT INTO clock_offset VALUES ($1, 5, 5000000)", pump)
    assert await look(connection, 0) == [("p1", "clock_off", "condition_began", "low")]
    await connection.execute("UPDATE pump SET in_service = false")
    assert await look(connection, 1) == [("p1", "clock_off", "condition_ended", "low")]
    assert await look(connection, 2) == []
    await connection.execute("UPDATE pump SET in_service = true")
    assert await look(connection, 3) == [("p1", "clock_off", "condition_began", "low")], "it is off all the same"
    assert await look(connection, 4) == []
    await connection.execute("INSERT INTO clock_offset VALUES ($1, 6, 0)", pump)
    assert await look(connection, 5) == [("p1", "clock_off", "condition_ended", "low")]
    assert await look(connection, 6) == []


async def test_a_pump_may_have_limits_of_its_own_for_its_lock_and_its_losses(
    connection: asyncpg.Connection, pump: int
) -> None:
    why = 'reason = "on trial", author = "jd", expires = 2090-01-01'
    rulebook = parse_rulebook(
        f"[pump.p1.telemetry_lock]\nafter_s = {{ value = 21600, {why} }}\n"
        f"[pump.p1.sequence_gap]\nreadings = {{ value = 3, {why} }}\nwithin_h = {{ value = 2, {why} }}\n"
    )
    assert isinstance(rulebook, Rulebook)

    async def look_by_it(minute: float) -> list[tuple[str, str]]:
        written = await look_once(connection, STORE, rulebook, at(minute))
        return [(each.condition, each.event) for each in written]

    await hear(connection, pump, 30)
    await stall(connection, pump, Turn.BEGAN, 30)
    await connection.execute("INSERT INTO gap VALUES ($1, 7, 9, $2, NULL, true)", pump, at(30))
    assert await look_by_it(40) == [("sequence_gap", "condition_began")]
    assert await look_by_it(151) == [("sequence_gap", "condition_ended")]
    assert await look_by_it(389) == []
    assert await look_by_it(391) == [("telemetry_lock", "condition_began")]
