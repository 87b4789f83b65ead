"""A pump that sends again and again what is known: what of it is read, stored, counted, kept aside and told."""

from datetime import UTC, datetime

import asyncpg

from service.core.reading import position_of
from service.core.repeats import AT_ONCE, LOOKED_AT_AGAIN_MS
from service.core.rulebook import DEFAULT_RULEBOOK
from service.postgres.alerts import AlertStore
from service.postgres.standing import look_once
from tests.loops.driven import Driven, telemetry

MANY = int(AT_ONCE) + 200


async def flood(driven: Driven, pump_id: str = "p1", count: int = MANY) -> None:
    for _ in range(count):
        driven.send(pump_id, telemetry(0, [1.0] * 5))
    await driven.turn()


def unread(driven: Driven) -> float:
    return driven.metrics.quarantined.labels("repeated")._value.get()


async def test_repeats_are_settled_without_being_read_and_what_is_new_among_them_is_stored_and_receipted(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await flood(driven)
    await flood(driven)
    assert unread(driven) == MANY
    for seq in range(5, 105):
        driven.send("p1", telemetry(0, [1.0] * 5))
        driven.send("p1", telemetry(seq, [1.0]))
        driven.send("p1", telemetry(0, [1.0] * 5))
    await driven.turn()
    assert unread(driven) == MANY + 200
    assert await connection.fetchval("SELECT count(*) FROM reading") == 105
    assert len(driven.feed.settled) == 2 * MANY + 300
    await driven.wait_ms(10_000)
    assert driven.feed.receipts[-1] == ("p1", 1, 104)


async def test_of_what_was_not_read_one_message_is_kept_aside_and_the_rest_counted(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    for _ in range(3):
        await flood(driven)
    (kept,) = await connection.fetch("SELECT reason, topic FROM quarantine")
    assert tuple(kept) == ("repeated", "pumps/v1/p1/telemetry")
    await driven.wait_ms(1_000)
    messages = await connection.fetchval("SELECT messages FROM repeating WHERE pump_id = 'p1'")
    assert 2 * MANY < messages <= 3 * MANY
    assert await connection.fetchval("SELECT messages FROM quarantine_day WHERE pump_id = 'p1'") == 2 * MANY


async def test_it_is_one_low_alert_that_ends_ten_minutes_after_the_last_repeat(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    store = AlertStore(DEFAULT_RULEBOOK)

    async def look() -> list[tuple[str, str, str]]:
        now = datetime.fromtimestamp(driven.now_ms / 1000, UTC)
        written = await look_once(connection, store, DEFAULT_RULEBOOK, now)
        return [(each.condition, each.event, each.priority) for each in written if each.condition == "repeating"]

    await flood(driven)
    await driven.wait_ms(1_000)
    assert await look() == [("repeating", "condition_began", "low")]
    await flood(driven)
    await driven.wait_ms(300_000)
    assert await look() == []
    await driven.wait_ms(301_000)
    assert await look() == [("repeating", "condition_ended", "low")]
    assert await look() == []
    assert not driven.ingester._repeating.limited


async def test_a_long_backlog_of_new_readings_however_fast_is_never_limited(driven: Driven) -> None:
    driven.now_ms += 30 * 86_400_000
    for message in range(MANY):
        driven.send("away", telemetry(message * 3, [1.0] * 3))
    await driven.turn()
    assert not driven.ingester._repeating.limited
    assert driven.fleet.ledger.through[0] == position_of(1, 3 * MANY - 1)


async def test_a_pump_that_only_repeats_itself_is_not_heard(driven: Driven, connection: asyncpg.Connection) -> None:
    driven.send("p1", telemetry(0, [1.0] * 5))
    await driven.turn()
    await driven.wait_ms(1_000)
    heard_at = await connection.fetchval("SELECT received_at FROM pump_latest")
    await driven.wait_ms(600_000)
    driven.send("p1", telemetry(0, [1.0] * 5))
    await driven.turn()
    await driven.wait_ms(1_000)
    assert await connection.fetchval("SELECT received_at FROM pump_latest") == heard_at
    driven.send("p1", telemetry(0, [1.0] * 6))
    await driven.turn()
    await driven.wait_ms(1_000)
    assert await connection.fetchval("SELECT received_at FROM pump_latest") > heard_at


async def test_what_could_not_be_taken_is_looked_at_again_within_a_minute(driven: Driven) -> None:
    driven.send("p1", telemetry(0, [1.0]))
    await driven.turn()
    ahead = telemetry(1, [1.0] * 5, held_from=(1, 9))
    for _ in range(2):
        for _ in range(MANY):
            driven.send("p1", ahead)
        await driven.turn()
    counted = unread(driven)
    assert counted == MANY
    driven.now_ms += LOOKED_AT_AGAIN_MS + 1
    driven.send("p1", ahead)
    await driven.turn()
    assert unread(driven) == counted
