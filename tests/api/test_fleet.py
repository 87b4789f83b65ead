"""The fleet over HTTP: the latest of all, and how many are in which state."""

from datetime import timedelta

from service.core.change import Condition
from tests.api.ward import NOW, Ward, enter, hear, raise_alert, turn
from tests.patience import until_found


async def test_the_latest_of_the_fleet_comes_in_pages_by_id(ward: Ward) -> None:
    ids = [f"p{number}" for number in range(7)]
    keys = await enter(ward, *ids[:5])
    keys = await enter(ward, *ids[5:], site="south")
    for pump_id in ids[:-1]:
        await hear(ward, keys[pump_id])
    found: list[str] = []
    query: dict[str, object] = {"limit": 4}
    while True:
        page = (await ward.viewer.get("/fleet/latest", params=query)).json()
        found += page["columns"]["pump_id"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == ids[:-1], "the last one was never heard"
    assert {name: values[0] for name, values in page["columns"].items()} == {
        "pump_id": "p4",
        "received_at": "2026-11-22T20:29:50Z",
        "measured_at": "2026-11-22T20:29:50Z",
        "boot": 7,
        "seq": 18042,
        "mode": "running",
        "program_ml_d": 0.5,
        "flow_ml_d": 0.497,
        "reservoir_ml": 17.93,
        "battery_v": 2.91,
    }
    south = (await ward.viewer.get("/fleet/latest", params={"site": "south"})).json()
    assert south["columns"]["pump_id"] == ["p5"]


async def test_statistics_count_every_pump_once_and_say_how_much_is_said(ward: Ward) -> None:
    keys = await enter(ward, "heard", "holding", "silent", "overdue", "never")
    await enter(ward, "out", in_service=False, site="south")
    for pump_id in ("heard", "holding", "silent"):
        await hear(ward, keys[pump_id])
    await hear(ward, keys["overdue"], heard_s_ago=7200)
    await raise_alert(ward, turn(keys["silent"], Condition.SILENCE))
    await raise_alert(ward, turn(keys["holding"], Condition.STALL))
    await ward.rows("INSERT INTO verdict VALUES ($1, 'stall', 'holds', $2)", keys["holding"], NOW)
    found = (await ward.viewer.get("/fleet/statistics")).json()
    assert (found["pumps"], found["registered"]) == (6, 6)
    assert found["states"] == {"heard": 2, "silent": 1, "overdue": 1, "never_heard": 1, "out_of_service": 1}
    assert found["verdicts"]["stall"] == {"holds": 1, "does_not_hold": 1, "unknown": 4}
    assert found["verdicts"]["silence"] == {"holds": 1, "does_not_hold": 2, "unknown": 3}
    assert [(site["site"], site["pumps"], site["pumps_holding"]) for site in found["sites"]] == [
        ("north", 5, 1),
        ("south", 1, 0),
    ]
    assert found["readings_expected_per_s"] == 0.05  # three of the last five minutes, each a minute
    assert found["longest_unheard_at"] == (NOW - timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    assert {(each["priority"], each["alerts"]) for each in found["open_alerts"]} >= {("high", 1)}


async def test_who_asks_often_sees_what_changed(ward: Ward) -> None:
    await enter(ward, "first")

    async def pumps() -> int:
        return int((await ward.viewer.get("/fleet/statistics")).json()["pumps"])

    assert await pumps() == 1
    await enter(ward, "second")

    async def both() -> bool:
        return await pumps() == 2

    await until_found(both, "the second pump to be counted")
