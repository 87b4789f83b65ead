"""A new version remembers other things: pumps go on from what they measured lately, and nobody's alert is lost."""

import asyncpg
import pytest

from tests.loops.driven import Driven, telemetry
from tests.pumps import MINUTE_MS, NOON_MS


async def test_after_a_change_of_layout_the_states_are_those_of_the_stored_readings_and_alerts_stay(
    driven: Driven, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for pump_id, flows in {
        "stalled": [1.0] * 60 + [0.0] * 60,
        "recovered": [1.0] * 30 + [0.0] * 60 + [1.0] * 40,
        "well": [1.0] * 100,
    }.items():
        driven.send(pump_id, telemetry(0, flows))
    await driven.turn()
    await driven.wait_ms(61_000)  # everything is in a checkpoint
    before = driven.fleet.state.tobytes()
    connection = await asyncpg.connect(postgres_url)
    alerts = await connection.fetch("SELECT * FROM alert ORDER BY id")
    assert [alert["state"] for alert in alerts if alert["condition"] == "stall"].count("active") == 1
    await connection.execute("UPDATE rule_checkpoint SET layout = 'older', state = '\\x00'")
    await driven.restart()
    driven.send("other", telemetry(0, [1.0]))
    await driven.wait_ms(0)
    assert driven.feed.settled[-1] == 4, "others are heard meanwhile"
    await driven.turn()
    assert driven.fleet.state[:3].tobytes() == before
    assert await connection.fetch("SELECT * FROM alert ORDER BY id") == alerts
    told = [record.fields for record in caplog.records if record.message == "pumps_relearned"]
    assert [(each["done"], each["waiting"]) for each in told] == [(3, 0)]
    await driven.restart()
    assert not driven.ingester.carries, "it is done once"
    await connection.close()


async def test_what_began_before_the_horizon_is_still_so_until_readings_say_otherwise(
    driven: Driven, postgres_url: str
) -> None:
    driven.send("p", telemetry(0, [1.0] * 60 + [0.0] * 60))
    await driven.turn()
    await driven.wait_ms(61_000)
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("UPDATE rule_checkpoint SET layout = 'older'")
    driven.now_ms = NOON_MS + 8 * 1440 * MINUTE_MS
    await driven.restart()
    stall = "SELECT state FROM alert WHERE condition = 'stall'"
    assert await connection.fetchval(stall) == "active"
    later = telemetry(120, [1.0] * 60)
    later["time_ms"] = [driven.now_ms - (60 - number) * MINUTE_MS for number in range(60)]
    driven.send("p", later)
    await driven.turn()
    assert await connection.fetchval(stall) == "latched", "it recovered"
    assert await connection.fetchval("SELECT count(*) FROM alert WHERE state = 'active'") == 0
    await connection.close()
