"""Stops and late data change nothing: what is evaluated at the end is what in-order arrival gives."""

import asyncpg

from service.core.reading import position_of
from tests.loops.driven import Driven, telemetry

STALLING = [1.0] * 60 + [0.0] * 60


async def alerts(connection: asyncpg.Connection) -> list[tuple[object, ...]]:
    rows = await connection.fetch(
        "SELECT pump_id, condition, state, began_at, detected_at, found_late, reason"
        " FROM alert JOIN pump USING (pump) ORDER BY 1, 2, 4"
    )
    return [tuple(row) for row in rows]


def send_by_minute(driven: Driven, pump_id: str, flows: list[float], first_seq: int = 0) -> None:
    for number, flow in enumerate(flows, start=first_seq):
        driven.send(pump_id, telemetry(number, [flow]))


async def test_an_ingester_that_stops_at_any_point_ends_where_one_that_never_stopped_does(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    for stop_after in (1, 59, 75, 89, 95):
        pump_id = f"stops-{stop_after}"
        send_by_minute(driven, pump_id, STALLING[:stop_after])
        await driven.turn()
        await driven.restart()
        send_by_minute(driven, pump_id, STALLING[stop_after:], stop_after)
        await driven.turn()
    send_by_minute(driven, "steady", STALLING)
    await driven.turn()
    steady = driven.fleet.row_of[b"steady"]
    for row in range(len(driven.fleet)):
        assert driven.fleet.state[row].tobytes() == driven.fleet.state[steady].tobytes(), driven.fleet.pump_ids[row]
    found = await alerts(connection)
    assert len(found) == 6
    assert {row[1:] for row in found} == {found[0][1:]}, "the same alert, once for each"


async def test_what_comes_again_after_a_restart_is_stored_once_and_receipted(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    send_by_minute(driven, "again", STALLING)
    await driven.turn()
    await driven.restart()
    driven.feed.receipts.clear()
    send_by_minute(driven, "again", STALLING)
    await driven.turn()
    assert await connection.fetchval("SELECT count(*) FROM reading") == 120
    assert driven.feed.receipts == [], "a pump is sent one every ten seconds, whatever it repeats"
    await driven.wait_ms(10_000)
    assert driven.feed.receipts == [("again", 1, 119)]
    assert len(await alerts(connection)) == 1


async def test_a_hole_holds_the_receipt_and_the_verdict_until_it_closes(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.send("holed", telemetry(0, STALLING[:60]))
    driven.send("holed", telemetry(70, STALLING[70:]))
    await driven.turn()
    assert driven.feed.receipts == [("holed", 1, 59)]
    assert await alerts(connection) == []
    await driven.restart()
    assert driven.fleet.ledger.through[0] == position_of(1, 59), "a restart forgets no hole"
    driven.send("holed", telemetry(60, STALLING[60:70]))
    await driven.turn()
    assert driven.feed.receipts[-1] == ("holed", 1, 119)
    (alert,) = await alerts(connection)
    assert alert[1:3] == ("stall", "active")


async def test_after_patience_the_gap_is_named_and_late_data_makes_the_verdict_that_of_in_order_arrival(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    flows = [1.0] * 60 + [0.0] * 40 + [1.0] * 60
    driven.send("late", telemetry(0, flows[:50]))
    driven.send("late", telemetry(110, flows[110:]))
    await driven.turn()
    await driven.wait_ms(44_000)
    assert await connection.fetchval("SELECT count(*) FROM gap") == 0
    await driven.wait_ms(2_000)
    gap = await connection.fetchval("SELECT (from_position, to_position, lost) FROM gap WHERE closed_at IS NULL")
    assert gap == (position_of(1, 50), position_of(1, 109), False)
    assert driven.feed.receipts[-1] == ("late", 1, 49)
    assert await alerts(connection) == []

    driven.send("late", telemetry(50, flows[50:110]))
    await driven.turn()
    assert driven.feed.receipts[-1] == ("late", 1, 159)
    assert await connection.fetchval("SELECT count(*) FROM gap WHERE closed_at IS NULL") == 0
    (alert,) = await alerts(connection)
    assert alert[1:3] == ("stall", "resolved")
    assert alert[5] is True, "over before it was found"
    assert await connection.fetchval("SELECT count(*) FROM rebuild") == 0

    send_by_minute(driven, "in-order", flows)
    await driven.turn()
    late, in_order = (driven.fleet.row_of[pump] for pump in (b"late", b"in-order"))
    assert driven.fleet.state[late].tobytes() == driven.fleet.state[in_order].tobytes()


async def test_a_rebuild_that_a_stop_interrupted_is_done_at_the_next_start(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    flows = [1.0] * 60 + [0.0] * 100
    driven.send("torn", telemetry(0, flows[:50]))
    driven.send("torn", telemetry(110, flows[110:]))
    await driven.turn()
    await driven.wait_ms(46_000)
    key = await connection.fetchval("SELECT pump FROM pump")
    await connection.execute("INSERT INTO rebuild VALUES ($1, $2)", key, position_of(1, 50))
    await connection.execute(
        "INSERT INTO reading SELECT measured_at - interval '1 hour', position - 60, received_at, pump, program_ml_d,"
        " flow_ml_d, reservoir_ml, battery_v, mode, delivered_ul FROM reading"
        " WHERE position >= $1 AND position < $1 + 10",
        position_of(1, 110),
    )
    await driven.restart()
    await driven.turn()
    assert await connection.fetchval("SELECT count(*) FROM rebuild") == 0
    account = driven.fleet.ledger.account(0)
    assert (account.through, account.islands) == (position_of(1, 59), ((position_of(1, 110), position_of(1, 159)),))
    saved = await connection.fetchval("SELECT position FROM rule_checkpoint WHERE taken_on IS NULL")
    assert saved == position_of(1, 159), "patience had ended before the stop, and stays so"


async def test_an_alert_that_goes_on_has_the_onset_of_in_order_arrival_once_the_gap_has_closed(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    flows = [1.0] * 60 + [0.0] * 100
    driven.send("late", telemetry(0, flows[:50]))
    driven.send("late", telemetry(100, flows[100:]))
    await driven.turn()
    await driven.wait_ms(46_000)
    (believed,) = await alerts(connection)
    driven.send("late", telemetry(50, flows[50:100]))
    await driven.turn()
    driven.send("in-order", telemetry(0, flows))
    await driven.turn()
    in_order, late = await alerts(connection)
    assert believed[3] != in_order[3], "the gap hid the onset"
    assert late[1:6] == in_order[1:6]
    assert late[6] == "late_data"
    assert await connection.fetchval("SELECT count(*) FROM alert") == 2


async def test_pumps_whose_readings_come_late_together_are_each_worked_out_from_their_own_gap(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    flows = [1.0] * 60 + [0.0] * 100
    gaps = {"late-3": (3, 40), "in-time": (0, 0), "late-50": (50, 100), "late-80": (80, 130)}
    for pump_id, (first, last) in gaps.items():
        driven.send(pump_id, telemetry(0, flows[:first] or flows))
        if last:
            driven.send(pump_id, telemetry(last, flows[last:]))
    await driven.turn()
    await driven.wait_ms(46_000)
    for pump_id, (first, last) in gaps.items():
        if last:
            driven.send(pump_id, telemetry(first, flows[first:last]))
    await driven.turn()
    in_time = driven.fleet.row_of[b"in-time"]
    for row in range(len(gaps)):
        assert driven.fleet.state[row].tobytes() == driven.fleet.state[in_time].tobytes(), driven.fleet.pump_ids[row]
    assert len({found[1:6] for found in await alerts(connection)}) == 1, "each has the alert of in-order arrival"
    assert await connection.fetchval("SELECT count(*) FROM rebuild") == 0
