"""Pumps that are worked out again: a slice at a time, beside what is live, and to the state of in-order arrival."""

import asyncpg
import pytest

from service.core.reading import position_of
from service.loops.recount import OF_A_PUMP_AT_ONCE
from tests.loops.driven import Driven, telemetry
from tests.pumps import MINUTE_MS, NOON_MS

LONG = [1.0] * 1_000 + [0.0] * 40 + [1.0] * 960 + [0.0] * 200
assert len(LONG) > 4 * OF_A_PUMP_AT_ONCE, "several slices"


@pytest.fixture
async def late(driven: Driven) -> Driven:
    """Pumps whose first minutes come after patience has ended for them: all that they sent is folded again."""
    driven.now_ms += 30 * 86_400_000
    for number in range(3):
        driven.send(f"late-{number}", telemetry(0, LONG[:5]))
        driven.send(f"late-{number}", telemetry(10, LONG[10:]))
    await driven.turn()
    await driven.wait_ms(46_000)
    await driven.turn()
    for number in range(3):
        driven.send(f"late-{number}", telemetry(5, LONG[5:10]))
    return driven


async def stalled(connection: asyncpg.Connection, pump_id: str) -> int:
    return await connection.fetchval(
        "SELECT count(*) FROM alert JOIN pump USING (pump) WHERE condition = 'stall' AND pump_id = $1", pump_id
    )


async def comes_to_the_same(driven: Driven, connection: asyncpg.Connection) -> None:
    driven.send("in-order", telemetry(0, LONG))
    await driven.turn()
    in_order = driven.fleet.row_of[b"in-order"]
    rows = await connection.fetch(
        "SELECT pump_id, condition, state, began_at, detected_at, ended_at FROM alert JOIN pump USING (pump)"
        " ORDER BY pump_id, began_at"
    )
    expected = [tuple(row)[1:] for row in rows if row["pump_id"] == "in-order"]
    for number in range(3):
        row = driven.fleet.row_of[f"late-{number}".encode()]
        assert driven.fleet.state[row].tobytes() == driven.fleet.state[in_order].tobytes()
        assert [tuple(row)[1:] for row in rows if row["pump_id"] == f"late-{number}"] == expected
    assert len(expected) == 2
    assert await connection.fetchval("SELECT count(*) FROM rebuild") == 0


async def test_while_pumps_are_worked_out_again_what_is_live_is_heard_and_told_and_theirs_as_well(
    late: Driven, connection: asyncpg.Connection
) -> None:
    await late.wait_ms(0)
    evaluated = late.fleet.ledger.evaluated[0]
    late.send("live", telemetry(0, [1.0] * 60))
    await late.wait_ms(0)
    late.send("live", telemetry(60, [0.0] * 60))
    late.send("late-0", telemetry(len(LONG), [0.0]))
    await late.wait_ms(0)
    assert await stalled(connection, "live") == 1
    assert await connection.fetchval("SELECT count(*) FROM rebuild") == 3, "they are not done yet"
    await late.wait_ms(0)
    assert late.fleet.ledger.evaluated[0] == evaluated + 1
    for pump_id in ("late-1", "late-2"):
        late.send(pump_id, telemetry(len(LONG), [0.0]))
    LONG.append(0.0)
    await comes_to_the_same(late, connection)
    LONG.pop()


async def test_what_was_measured_after_a_clock_was_set_back_counts_when_a_pump_is_worked_out_again(
    driven: Driven,
) -> None:
    def set_back(seq: int, minutes: int) -> dict[str, object]:
        after = telemetry(seq, [1.0] * minutes)
        after["time_ms"] = [NOON_MS + (seq - 60 + number) * MINUTE_MS for number in range(minutes)]
        return after

    for pump_id in ("late", "in-order"):
        driven.send(pump_id, telemetry(0, [1.0] * 120))
    await driven.turn()
    await driven.wait_ms(61_000)  # a checkpoint that is measured later than what follows it
    clock_set = {"boot": 1, "seq": 120, "time_ms": NOON_MS + 60 * MINUTE_MS, "type": "clock_set", "before_ms": 0}
    for pump_id in ("late", "in-order"):
        driven.send(pump_id, clock_set | {"held_from": [1, 0]}, "event")
    driven.send("in-order", set_back(121, 30))
    driven.send("late", set_back(121, 9))
    driven.send("late", set_back(131, 20))
    await driven.turn()
    await driven.wait_ms(46_000)
    await driven.turn()
    driven.send("late", set_back(130, 1))
    await driven.turn()
    late, in_order = (driven.fleet.row_of[pump] for pump in (b"late", b"in-order"))
    assert driven.fleet.state[late].tobytes() == driven.fleet.state[in_order].tobytes()


async def test_a_condition_that_a_gap_seemed_to_end_holds_again_once_the_gap_has_closed(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    verdict = "SELECT verdict FROM verdict WHERE condition = 'stall'"
    driven.send("p", telemetry(0, [1.0] * 60 + [0.0] * 60))
    await driven.turn()
    key = await connection.fetchval("SELECT pump FROM pump")
    await driven.wait_ms(61_000)  # a checkpoint in which it holds
    driven.send("p", telemetry(121, [0.0] * 30))
    await driven.turn()
    await driven.wait_ms(46_000)
    await driven.turn()
    await connection.execute("UPDATE verdict SET verdict = 'does_not_hold' WHERE pump = $1", key)
    driven.send("p", telemetry(120, [0.0]))
    await driven.turn()
    assert await connection.fetchval(verdict) == "holds"


async def test_a_stop_between_two_slices_loses_nothing(late: Driven, connection: asyncpg.Connection) -> None:
    for _ in range(2):
        await late.wait_ms(0)
        await late.restart()
    assert late.ingester.carries
    await late.turn()
    await comes_to_the_same(late, connection)


async def test_what_comes_late_while_a_pump_is_worked_out_again_is_counted_in(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.now_ms += 30 * 86_400_000
    for number in range(3):
        driven.send(f"late-{number}", telemetry(5, LONG[5:8]))
        driven.send(f"late-{number}", telemetry(10, LONG[10:1_990]))
        driven.send(f"late-{number}", telemetry(2_000, LONG[2_000:]))
    await driven.turn()
    await driven.wait_ms(46_000)
    await driven.turn()
    for number in range(3):
        driven.send(f"late-{number}", telemetry(8, LONG[8:10]))
    await driven.wait_ms(0)
    for number in range(3):  # what is folded already, and what is not
        driven.send(f"late-{number}", telemetry(0, LONG[:5]))
        driven.send(f"late-{number}", telemetry(1_990, LONG[1_990:2_000]))
    await driven.turn()
    assert (driven.fleet.ledger.through[:3] == position_of(1, len(LONG) - 1)).all()
    await comes_to_the_same(driven, connection)
