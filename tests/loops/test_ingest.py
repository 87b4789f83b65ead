"""A turn of the ingest loop: what is stored, told, settled and receipted."""

import json
from datetime import timedelta

import asyncpg
import numpy as np

from service.core.reading import position_of
from tests.loops.driven import Driven, telemetry
from tests.pumps import NOON_MS


async def test_verdicts_follow_the_fold(driven: Driven, connection: asyncpg.Connection) -> None:
    driven.send("verdicts", telemetry(0, [1.0] * 60 + [0.0] * 40 + [1.0] * 60))
    await driven.turn()
    row = await connection.fetchval("SELECT (condition, verdict) FROM verdict")
    assert row == ("stall", "does_not_hold")


async def test_what_cannot_be_understood_is_kept_settled_and_blocks_nothing(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    good = driven.send("p1", telemetry(0, [1.0]))
    bad = driven.send("p1", telemetry(1, [1.0]) | {"flow_ml_d": ["much"]})
    after = driven.send("p1", telemetry(2, [1.0]))
    await driven.turn()
    assert driven.feed.settled == [good, bad, after]
    assert await connection.fetchval("SELECT reason FROM quarantine") == "wrong_type"
    driven.send("p1", telemetry(3, [1.0], held_from=(1, 2)))
    await driven.turn()
    assert driven.fleet.ledger.through[0] == position_of(1, 3), "given up by the pump, it blocks nothing"


async def test_events_take_part_in_the_order_and_come_back_from_the_store(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.send("refilled", telemetry(0, [1.0] * 30) | {"reservoir_ml": [1.5] * 30})
    refill = {
        "boot": 1,
        "seq": 30,
        "time_ms": telemetry(30, [1])["time_ms"][0],
        "type": "refill",
        "reservoir_after_ml": 19.0,
    }
    driven.send("refilled", refill | {"held_from": [1, 0], "simulated": True}, "event")
    driven.send("refilled", telemetry(31, [1.0] * 30) | {"reservoir_ml": [19.0] * 30})
    await driven.turn()
    body = await connection.fetchval("SELECT body FROM event")
    assert json.loads(str(body))["reservoir_after_ml"] == 19.0
    state = driven.fleet.state[0].copy()
    await driven.restart()
    assert np.array_equal(driven.fleet.state[0], state)


async def test_where_enrolment_is_closed_a_strangers_message_is_kept_aside_with_its_reason(
    postgres_url: str, connection: asyncpg.Connection
) -> None:
    driven = Driven(postgres_url, enrolment_open=False)
    await driven.start()
    stranger = driven.send("stranger", telemetry(0, [1.0]))
    await driven.turn()
    assert driven.feed.settled == [stranger]
    assert await connection.fetchval("SELECT reason FROM quarantine") == "enrolment_closed"
    assert await connection.fetchval("SELECT count(*) FROM pump") == 0
    await driven.store.close()


async def test_a_pump_that_enrols_itself_is_unregistered_and_simulated_if_it_says_so(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.send("simulated", telemetry(0, [1.0]))
    driven.send("real", telemetry(0, [1.0]) | {"simulated": False})
    await driven.turn()
    found = await connection.fetchval(
        "SELECT json_object_agg(pump_id, json_build_array(registered, simulated)) FROM pump"
    )
    assert json.loads(str(found)) == {"simulated": [False, True], "real": [False, False]}


async def test_a_registry_change_is_in_force_within_seconds_and_not_before(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.send("p1", telemetry(0, [1.0] * 30))
    await driven.turn()
    assert driven.fleet.limits["flow_sensor"][0] == 0
    await connection.execute("UPDATE pump SET flow_channel = 'sensor', updated_at = now() + interval '1 day'")
    await driven.wait_ms(2_000)
    assert driven.fleet.limits["flow_sensor"][0] == 1
    saved = await connection.fetchval("SELECT position FROM rule_checkpoint WHERE taken_on IS NULL")
    assert saved == position_of(1, 29), "what the old limits judged is not judged again under the new ones"


async def test_what_was_last_heard_is_written_within_a_second(driven: Driven, connection: asyncpg.Connection) -> None:
    driven.send("p1", telemetry(0, [1.0] * 30))
    await driven.turn()
    await driven.wait_ms(1_000)
    assert await connection.fetchval("SELECT position FROM pump_latest") == position_of(1, 29)
    assert await connection.fetchval("SELECT ready FROM role_heartbeat WHERE role = 'ingest'") is True


async def test_a_pump_that_reports_every_second_is_watched_like_one_that_reports_every_minute(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    flows = [1.0] * 1_800 + [0.0] * 1_800 + [1.0] * 2_400
    for pump_id, every_s in (("second", 1), ("minute", 60)):
        some = flows[::every_s]
        for first in range(0, len(some), 60):
            message = telemetry(first, some[first : first + 60])
            start_ms, step_ms = NOON_MS + first * every_s * 1_000, every_s * 1_000
            message["time_ms"] = [start_ms + number * step_ms for number in range(len(some[first : first + 60]))]
            driven.send(pump_id, message)
    await driven.turn()
    rows = await connection.fetch(
        "SELECT pump_id, a.condition, a.state, a.began_at, a.detected_at FROM alert AS a JOIN pump USING (pump)"
    )
    found = {row["pump_id"]: row for row in rows}
    assert len(rows) == 2
    assert {(row["condition"], row["state"]) for row in rows} == {("stall", "resolved")}
    for name in ("began_at", "detected_at"):
        assert abs(found["second"][name] - found["minute"][name]) <= timedelta(minutes=2), (
            "evaluation goes in steps of a minute"
        )
    assert await connection.fetchval("SELECT count(*) FROM reading") == len(flows) + len(flows) // 60
