"""What an earlier boot said and nobody stored: it comes late, is kept, and counts as if it had come in order."""

from itertools import pairwise

import asyncpg
import msgspec

from tests.loops.driven import Driven, telemetry
from tests.pumps import MINUTE_MS, NOON_MS


async def told(driven: Driven, *messages: dict[str, object]) -> None:
    for message in messages:
        driven.send("p1", message)
    await driven.turn()


async def stored(connection: asyncpg.Connection) -> list[tuple[int, int]]:
    rows = await connection.fetch("SELECT position FROM reading ORDER BY position")
    return [(row["position"] >> 40, row["position"] & ((1 << 40) - 1)) for row in rows]


async def alerts(connection: asyncpg.Connection) -> list[tuple[str, str, str, bool]]:
    rows = await connection.fetch("SELECT condition, state, began_at::text, found_late FROM alert ORDER BY 1, 3")
    return [tuple(row) for row in rows]


def later(message: dict[str, object], minutes: int) -> dict[str, object]:
    return message | {"time_ms": [at_ms + minutes * MINUTE_MS for at_ms in message["time_ms"]]}


BEFORE = telemetry(0, [1.0] * 10)
MISSED = telemetry(10, [0.0] * 60)
AFTER = later(telemetry(0, [0.0] * 20, boot=2, held_from=(2, 0)), 70)


async def test_what_was_never_stored_of_an_earlier_boot_is_stored_and_evaluated_and_again_is_a_duplicate(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, BEFORE)
    await told(driven, AFTER)
    await told(driven, MISSED)
    assert len(await stored(connection)) == 90
    found = await alerts(connection)
    await told(driven, BEFORE, MISSED, AFTER)
    await driven.restart()
    await told(driven, MISSED)
    assert len(await stored(connection)) == 90
    assert await alerts(connection) == found
    assert await connection.fetchval("SELECT count(*) FROM rebuild") == 0
    for message in (BEFORE, MISSED, AFTER):
        driven.send("p2", message)
        await driven.turn()
    rows = await connection.fetch(
        "SELECT pump_id, condition, state, began_at FROM alert JOIN pump USING (pump) WHERE state <> 'resolved'"
    )
    mine = {tuple(row)[1:] for row in rows if row["pump_id"] == "p1"}
    assert mine == {tuple(row)[1:] for row in rows if row["pump_id"] == "p2"}
    assert mine


async def test_late_readings_of_an_earlier_boot_are_mapped_with_that_boots_own_clock(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    off_ms = NOON_MS - 1_000_000
    wrong = telemetry(0, [1.0] * 10)
    wrong["time_ms"] = [at_ms - off_ms for at_ms in wrong["time_ms"]]
    missed = telemetry(10, [1.0] * 5)
    missed["time_ms"] = [at_ms - off_ms for at_ms in missed["time_ms"]]
    await told(driven, wrong)
    await told(driven, later(telemetry(0, [1.0] * 5, boot=2, held_from=(2, 0)), 230))
    driven.now_ms += 60 * MINUTE_MS
    await told(driven, missed)
    rows = await connection.fetch("SELECT measured_at FROM reading WHERE position < 2::bigint << 40 ORDER BY position")
    steps = {second["measured_at"] - first["measured_at"] for first, second in pairwise(rows)}
    assert (len(rows), [step.total_seconds() for step in steps]) == (15, [60.0])


async def test_a_boot_that_cannot_be_is_kept_aside_and_the_pump_goes_on(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, BEFORE)
    forged = telemetry(0, [1.0], boot=500_000, held_from=(500_000, 0))
    await told(driven, forged)
    await told(driven, telemetry(10, [1.0] * 5))
    assert len(await stored(connection)) == 15
    kept = await connection.fetch("SELECT reason, head FROM quarantine")
    assert [(row["reason"], msgspec.json.decode(row["head"])["boot"]) for row in kept] == [
        ("implausible_boot", 500_000)
    ]
    assert len(driven.feed.settled) == 3


async def test_a_long_message_is_mapped_as_a_whole_though_it_is_evaluated_in_parts(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    since_1970 = telemetry(0, [1.0] * 200)
    since_1970["time_ms"] = [number * MINUTE_MS for number in range(200)]
    await told(driven, since_1970)
    newest = await connection.fetchval("SELECT extract(epoch FROM max(measured_at)) * 1000 FROM reading")
    assert int(newest) == driven.now_ms
    assert await connection.fetchval("SELECT count(DISTINCT offset_ms) FROM clock_offset") == 1
