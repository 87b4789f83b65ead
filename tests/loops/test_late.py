"""Readings that come late, and clocks that are wrong: neither raises, clears nor hides anything that it should not."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from service.core.rulebook import DEFAULT_RULEBOOK
from tests.loops.driven import Driven, telemetry
from tests.postgres.alerting import an_endpoint
from tests.pumps import MINUTE_MS, NOON_MS


async def told(driven: Driven, *messages: dict[str, object], kind: str = "telemetry") -> None:
    for message in messages:
        driven.send("p1", message, kind)
        await driven.turn()


async def alerts(connection: asyncpg.Connection) -> list[tuple[str, str]]:
    return [tuple(row) for row in await connection.fetch("SELECT condition, state FROM alert ORDER BY 1")]


async def test_one_bad_reading_an_hour_old_raises_nothing_that_must_last(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, telemetry(0, [1.0] * 30), telemetry(180, [0.0], held_from=(1, 180)))
    await driven.wait_ms(60_000)
    assert await alerts(connection) == []
    row = await connection.fetchrow(
        "SELECT received_at - measured_at AS late FROM reading ORDER BY position DESC LIMIT 1"
    )
    assert row["late"] >= timedelta(minutes=59)


async def test_a_late_sound_reading_neither_ends_nor_resets_what_holds(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, telemetry(0, [1.0] * 30), telemetry(31, [0.0] * 120))
    await driven.wait_ms(50_000)
    before = await alerts(connection)
    assert [state for _, state in before] == ["active"] * len(before)
    assert "stall" in dict(before)
    began = await connection.fetchval("SELECT began_at FROM alert WHERE condition = 'stall'")
    await told(driven, telemetry(30, [1.0]))
    assert await alerts(connection) == before
    assert abs(await connection.fetchval("SELECT began_at FROM alert WHERE condition = 'stall'") - began) <= timedelta(
        minutes=1
    )


@pytest.mark.parametrize(("ahead_h", "corrected"), [(2, True), (-24, False), (-24 * 365 * 56, True)])
async def test_a_wrong_clock_poisons_neither_the_latest_state_nor_the_days_of_the_store(
    driven: Driven, connection: asyncpg.Connection, ahead_h: int, *, corrected: bool
) -> None:
    message = telemetry(240, [1.0])
    message["time_ms"] = [max(0, driven.now_ms + ahead_h * 60 * MINUTE_MS)]
    await told(driven, message)
    await driven.wait_ms(2_000)
    now = datetime.fromtimestamp(driven.now_ms / 1000, UTC)
    latest = await connection.fetchval("SELECT measured_at FROM pump_latest")
    off = await connection.fetchval("SELECT count(*) FROM clock_offset WHERE offset_ms <> 0")
    assert bool(off) == corrected
    assert now - timedelta(days=1, minutes=1) <= latest <= now
    assert abs(latest - now) < timedelta(minutes=1) or not corrected


async def test_what_fills_a_hole_is_dated_by_the_pumps_clock_however_much_newer_readings_have_come_before_it(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.now_ms += 3 * 1440 * MINUTE_MS
    await told(driven, telemetry(0, [1.0]), telemetry(2_000, [1.0]), telemetry(1, [1.0] * 1_999))
    assert await connection.fetchval("SELECT count(*) FROM clock_offset") == 0
    newest = await connection.fetchval("SELECT max(measured_at) FROM reading")
    assert newest == datetime.fromtimestamp(NOON_MS / 1000, UTC) + timedelta(minutes=2_000)


async def test_a_pump_that_sends_events_only_is_heard_and_a_retained_status_is_no_evidence_of_life(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    started = {"boot": 1, "seq": 0, "time_ms": driven.now_ms, "type": "started", "reason": "reset", "held_from": [1, 0]}
    await told(driven, started, kind="event")
    await driven.wait_ms(2_000)
    row = await connection.fetchrow("SELECT received_at, position FROM pump_latest")
    heard_at = row["received_at"]
    assert row["position"] is None
    await driven.wait_ms(60_000)
    await told(driven, {"online": True}, kind="status")
    await driven.wait_ms(2_000)
    assert await connection.fetchval("SELECT received_at FROM pump_latest") == heard_at


async def test_what_comes_after_the_horizon_withdraws_nothing_that_nobody_has_reset_yet(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    for first, flow in ((0, 1.0), (60, 0.0), (120, 1.0)):
        driven.now_ms = NOON_MS + (first + 60) * MINUTE_MS
        driven.send("p", telemetry(first, [flow] * 60, boot=2, held_from=(2, 0)))
        await driven.turn()
        await driven.wait_ms(11_000)
    for day in range(1, 10):
        driven.now_ms = NOON_MS + day * 1440 * MINUTE_MS
        well = telemetry(180 + (day - 1) * 10, [1.0] * 10, boot=2, held_from=(2, 0))
        well["time_ms"] = [driven.now_ms - (10 - number) * MINUTE_MS for number in range(10)]
        driven.send("p", well)
        await driven.turn()
    straggler = telemetry(5, [1.0], held_from=(1, 0))
    straggler["time_ms"] = [NOON_MS - 600 * MINUTE_MS]
    driven.send("p", straggler)
    await driven.turn()
    assert await connection.fetchval("SELECT state FROM alert WHERE condition = 'stall'") == "latched"
    assert await connection.fetchval("SELECT count(*) FROM reading") == 271, "and it is stored"


async def test_a_pump_whose_clock_is_steadily_a_day_behind_is_watched_and_told_of_like_any_other(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    """It looks like one whose readings are long on their way: nobody can tell, and nothing may wait for it."""
    await an_endpoint(connection)
    for seq in range(0, 120, 5):
        driven.now_ms = NOON_MS + (seq + 4) * MINUTE_MS + 86_400_000
        await told(driven, telemetry(seq, [1.0 if seq < 60 else 0.0] * 5) | {"simulated": False})
    row = await connection.fetchrow(
        "SELECT state, found_late, began_at, detected_at FROM alert WHERE condition = 'stall'"
    )
    assert (row["state"], row["found_late"]) == ("active", False)
    behind = datetime.fromtimestamp(driven.now_ms / 1000, UTC) - row["began_at"]
    assert timedelta(days=1) < behind < timedelta(days=1, hours=2), "in the pump's own time"
    assert await connection.fetchval("SELECT count(*) FROM clock_offset") == 0
    await driven.wait_ms(1_000)
    heard_at = await connection.fetchval("SELECT received_at FROM pump_latest")
    assert heard_at == datetime.fromtimestamp((driven.now_ms - 1_000) / 1000, UTC), "it is heard now, not a day ago"
    due_at = await connection.fetchval(
        "SELECT n.due_at FROM notification AS n JOIN alert AS a ON a.id = n.alert_id WHERE a.condition = 'stall'"
    )
    held = timedelta(seconds=DEFAULT_RULEBOOK.delayed_announcement_s)
    assert due_at <= datetime.fromtimestamp(driven.now_ms / 1000, UTC) + held, "announced within seconds all the same"
