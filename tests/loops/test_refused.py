"""What the store has already, has otherwise, or cannot take: each once, and nothing else of its batch suffers."""

import asyncpg
import numpy as np
import pytest

from service.core.reading import position_of
from tests.loops.driven import Driven, telemetry
from tests.pumps import MINUTE_MS

_AS_THE_LAST = """
    INSERT INTO reading
    SELECT measured_at + $1 * interval '1 minute', position + $1, received_at, pump, program_ml_d, flow_ml_d + $2,
        reservoir_ml, battery_v, mode, delivered_ul
    FROM reading ORDER BY position DESC LIMIT 1
"""


async def one(connection: asyncpg.Connection, query: str) -> object:
    return await connection.fetchval(query)


async def test_what_is_stored_already_is_counted_and_what_is_not_is_stored(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.send("p1", telemetry(0, [1.0] * 5))
    await driven.turn()
    await connection.execute(_AS_THE_LAST, 2, 0.0)  # the ledger does not know
    sent = driven.send("p1", telemetry(5, [1.0] * 5))
    await driven.turn()
    assert driven.feed.settled[-1] == sent
    assert await one(connection, "SELECT count(*) FROM reading") == 10
    assert await one(connection, "SELECT count(*) FROM quarantine") == 0
    assert driven.ingester._metrics.duplicates._value.get() == 1
    assert driven.fleet.ledger.through[0] == position_of(1, 9)


async def test_what_is_stored_with_other_values_is_kept_aside_and_the_rules_go_by_the_store(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.send("p1", telemetry(0, [1.0] * 5))
    await driven.turn()
    await connection.execute(_AS_THE_LAST, 2, 0.25)
    sent = driven.send("p1", telemetry(5, [1.0] * 60))
    await driven.turn()
    assert driven.feed.settled[-1] == sent
    row = await connection.fetchrow("SELECT reason, detail, topic FROM quarantine")
    assert tuple(row) == ("conflicts_with_stored", "flow_ml_d is 0.5, stored is 0.75", "pumps/v1/p1/telemetry")
    assert await one(connection, "SELECT count(*) FROM reading") == 65
    state = driven.fleet.state[0].copy()
    await driven.restart()
    assert np.array_equal(driven.fleet.state[0], state), "the same as a fold of what is stored"


@pytest.mark.parametrize("readings", [1, 60])
async def test_what_the_database_cannot_take_is_found_and_kept_aside_alone(
    driven: Driven, connection: asyncpg.Connection, readings: int
) -> None:
    await connection.execute("ALTER TABLE stored_reading ADD CONSTRAINT poison CHECK (battery_mv <> 1234)")
    first = driven.send("healthy", telemetry(0, [1.0] * 30))
    message = telemetry(0, [1.0] * readings)
    message["battery_v"] = [*[2.9] * (readings - 1), 1.234]
    second = driven.send("p1", message)
    await driven.turn()
    assert driven.feed.settled == [first, second]
    row = await connection.fetchrow("SELECT reason, detail FROM quarantine")
    assert row["reason"] == "refused_by_store"
    assert "poison" in row["detail"]
    assert await one(connection, "SELECT count(*) FROM quarantine") == 1
    assert await one(connection, "SELECT count(*) FROM reading") == 30 + readings - 1
    driven.send("p1", telemetry(readings, [1.0] * 5, held_from=(1, readings)))
    await driven.turn()
    row_of_pump = driven.fleet.row_of[b"p1"]
    assert driven.fleet.ledger.through[row_of_pump] == position_of(1, readings + 4), "given up, it blocks nothing"


async def test_an_event_that_is_stored_already_is_no_trouble(driven: Driven, connection: asyncpg.Connection) -> None:
    driven.send("p1", telemetry(0, [1.0] * 5))
    await driven.turn()
    refill = {"boot": 1, "seq": 5, "time_ms": telemetry(5, [1])["time_ms"][0], "type": "refill"}
    refill |= {"reservoir_after_ml": 19.0, "held_from": [1, 0], "simulated": True}
    driven.send("p1", refill, "event")
    await driven.turn()
    await connection.execute(
        "INSERT INTO event (pump, position, type, measured_at, received_at, value, second, code, body) SELECT pump,"
        " position + 1, type, measured_at + interval '1 minute', received_at, value, second, code, body FROM event"
    )
    again = refill | {"seq": 6, "time_ms": refill["time_ms"] + MINUTE_MS}
    sent = [driven.send("p1", again, "event"), driven.send("p1", telemetry(7, [1.0]))]
    await driven.turn()
    assert driven.feed.settled[-2:] == sent
    assert await one(connection, "SELECT count(*) FROM event") == 2
    assert await one(connection, "SELECT count(*) FROM quarantine") == 0
