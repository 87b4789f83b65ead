"""The registry over HTTP, and what is shown of a pump."""

import asyncio
import json
from datetime import timedelta

from service.core.change import Condition, Turn
from service.core.reading import position_of
from service.postgres.registry import CHANNEL, enrol
from tests.api.ward import ENTRY, NOW, Ward, enter, hear, problem, raise_alert, turn


async def test_an_entry_is_kept_as_it_was_given_and_its_version_counts_its_changes(ward: Ward) -> None:
    made = await ward.administrator.put("/pumps/p1", json=ENTRY)
    assert made.status_code == 201
    assert made.headers["etag"] == '"1"'
    shown = made.json()
    assert {name: shown[name] for name in ENTRY} == ENTRY
    assert (shown["registered"], shown["version"], shown["latest"]) == (True, 1, None)

    same = await ward.administrator.put("/pumps/p1", json=ENTRY | {"pump_id": "p1"})
    assert (same.status_code, same.headers["etag"]) == (200, '"1"')
    changed = await ward.administrator.put("/pumps/p1", json=ENTRY | {"interval_s": 30})
    assert (changed.status_code, changed.json()["version"], changed.json()["interval_s"]) == (200, 2, 30.0)
    assert changed.json().items() <= (await ward.viewer.get("/pumps/p1")).json().items()
    assert await ward.rows("SELECT site, time_zone FROM site") == [("north", "Europe/Zurich")]


async def test_a_version_that_was_overtaken_replaces_nothing(ward: Ward) -> None:
    await enter(ward, "p1")
    first, second = await asyncio.gather(
        *(
            ward.administrator.put("/pumps/p1", json=ENTRY | {"interval_s": seconds}, headers={"If-Match": '"1"'})
            for seconds in (10, 20)
        )
    )
    winner, loser = sorted((first, second), key=lambda answer: answer.status_code)
    assert winner.json()["version"] == 2
    assert "stored version is 2" in problem(loser, 412)["detail"]
    assert (await ward.viewer.get("/pumps/p1")).json()["interval_s"] == winner.json()["interval_s"]
    problem(await ward.administrator.put("/pumps/p2", json=ENTRY, headers={"If-Match": "*"}), 412)
    answer = await ward.administrator.put("/pumps/p1", json=ENTRY, headers={"If-Match": "*"})
    assert answer.status_code == 200


async def test_a_wrong_entry_is_refused_with_every_mistake_and_changes_nothing(ward: Ward) -> None:
    wrong = ENTRY | {"time_zone": 1, "capacity_ml": -3, "drug_class": "coke", "size": 1}
    found = problem(await ward.administrator.put("/pumps/p1", json=wrong), 422)
    assert [error["field"] for error in found["errors"]] == ["time_zone", "capacity_ml", "drug_class", "size"]
    for change in ({"time_zone": "Mars/Base"}, {"pump_id": "p2"}, {"drug": "a\x00b"}, {"site": "\ud800"}):
        found = problem(
            await ward.administrator.put("/pumps/p1", content=json.dumps(ENTRY | change), headers=JSON), 422
        )
        assert [error["field"] for error in found["errors"]] in (list(change), ["body"])
    assert await ward.rows("SELECT FROM pump") == []
    assert await ward.rows("SELECT FROM site") == []


JSON = {"Content-Type": "application/json"}


async def test_every_change_is_audited_with_what_was_and_what_is_and_the_ingester_is_woken(ward: Ward) -> None:
    woken = asyncio.Event()
    await ward.database.add_listener(CHANNEL, lambda *_: woken.set())
    await enter(ward, "p1")
    await asyncio.wait_for(woken.wait(), 60)
    await enter(ward, "p1", interval_s=30.0)

    first, second = await ward.rows("SELECT actor, action, subject, detail::text FROM audit WHERE actor <> 'test'")
    assert tuple(first)[:3] == ("the-administrator", "pump_written", "p1")
    assert json.loads(first["detail"])["before"] is None
    detail = json.loads(second["detail"])
    assert (detail["before"]["interval_s"], detail["after"]["interval_s"], detail["version"]) == (60.0, 30.0, 2)


async def test_an_unlisted_pump_becomes_listed_by_its_entry(ward: Ward) -> None:
    await enrol(ward.database, ["p1"], [True], 0)
    shown = (await ward.viewer.get("/pumps/p1")).json()
    assert (shown["registered"], shown["site"], shown["drug_class"]) == (False, None, "unknown")
    assert shown["verdicts"]["unregistered"]["verdict"] == "holds"

    answer = await ward.administrator.put("/pumps/p1", json=ENTRY)
    assert answer.status_code == 200
    assert (answer.json()["registered"], answer.json()["version"]) == (True, 2)
    assert answer.json()["verdicts"]["unregistered"]["verdict"] == "does_not_hold"


async def test_a_pump_shows_what_it_said_last_with_its_dose_and_what_is_known_of_it(ward: Ward) -> None:
    keys = await enter(ward, "p1")
    shown = (await ward.viewer.get("/pumps/p1")).json()
    assert shown["latest"] is None
    assert shown["verdicts"]["stall"] == {"verdict": "unknown", "since": None}

    await hear(ward, keys["p1"])
    await raise_alert(ward, turn(keys["p1"], Condition.STALL))
    await ward.rows("INSERT INTO verdict VALUES ($1, 'stall', 'holds', $2)", keys["p1"], ward.clock())
    shown = (await ward.viewer.get("/pumps/p1")).json()
    assert shown["latest"] == {
        "received_at": "2026-11-22T20:29:50Z",
        "measured_at": "2026-11-22T20:29:50Z",
        "boot": 7,
        "seq": 18042,
        "mode": "running",
        "program_ml_d": 0.5,
        "program_ug_d": 250.0,
        "flow_ml_d": 0.497,
        "reservoir_ml": 17.93,
        "battery_v": 2.91,
    }
    assert shown["time_to_empty"] is None
    await ward.rows("UPDATE pump_latest SET empty_judged = true, empty_nominal_d = 34.4, empty_conservative_d = 30")
    times = (await ward.viewer.get("/pumps/p1")).json()["time_to_empty"]
    assert times == {"nominal_d": 34.4, "conservative_d": 30.0, "optimistic_d": None}
    assert shown["open_alerts"] == 1
    assert shown["verdicts"]["stall"] == {"verdict": "holds", "since": "2026-11-22T20:30:00Z"}
    assert shown["verdicts"]["over_delivery"]["verdict"] == "does_not_hold"


async def test_silence_hides_every_verdict_and_counts_as_an_open_alert(ward: Ward) -> None:
    keys = await enter(ward, "p1", flow_channel="rotor")
    await hear(ward, keys["p1"])
    await raise_alert(ward, turn(keys["p1"], Condition.SILENCE))
    shown = (await ward.viewer.get("/pumps/p1")).json()
    assert shown["open_alerts"] == 1
    told = {condition: known["verdict"] for condition, known in shown["verdicts"].items()}
    assert told.pop("silence") == "holds"
    assert told.pop("unregistered") == "does_not_hold"
    assert told.pop("over_delivery") == told.pop("over_delivery_gross") == "not_available"
    assert told.pop("level_deviation") == "not_available"
    assert set(told.values()) == {"unknown"}

    await raise_alert(ward, turn(keys["p1"], Condition.SILENCE, Turn.ENDED, position=(7 << 40) + 18043))
    shown = (await ward.viewer.get("/pumps/p1")).json()
    assert (shown["open_alerts"], shown["verdicts"]["stall"]["verdict"]) == (0, "does_not_hold")

    ward.clock.advance(3600)
    shown = (await ward.viewer.get("/pumps/p1")).json()
    assert shown["verdicts"]["stall"]["verdict"] == "unknown"


async def test_pages_hold_every_pump_once_whatever_is_added_meanwhile(ward: Ward) -> None:
    ids = [f"p{number:02}" for number in range(25)]
    await enter(ward, *ids[:24:2], site="north")
    await enter(ward, *ids[1::2], site="south")
    found: list[str] = []
    cursor = None
    while True:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = (await ward.viewer.get("/pumps", params=query)).json()
        found += [pump["pump_id"] for pump in page["items"]]
        await enter(ward, "a-newcomer", "p24")
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == ids

    async def matching(**query: str) -> list[str]:
        return [pump["pump_id"] for pump in (await ward.viewer.get("/pumps", params=query)).json()["items"]]

    assert await matching(site="south") == ids[1::2]
    assert await matching(q="P1", site="south") == ["p11", "p13", "p15", "p17", "p19"]
    assert await matching(q="_") == []


async def test_pumps_are_found_by_state_by_verdict_and_by_when_they_may_be_empty(ward: Ward) -> None:
    keys = await enter(ward, "heard", "holding", "low", "never", "overdue", "silent")
    await enter(ward, "out", in_service=False)
    for pump_id in ("heard", "holding", "low", "silent"):
        await hear(ward, keys[pump_id])
    await hear(ward, keys["overdue"], heard_s_ago=7200)
    await raise_alert(ward, turn(keys["silent"], Condition.SILENCE))
    for pump_id in ("holding", "silent"):
        await ward.rows("INSERT INTO verdict VALUES ($1, 'stall', 'holds', $2)", keys[pump_id], ward.clock())
    await ward.rows("UPDATE pump_latest SET empty_judged = true, empty_conservative_d = 30")
    await ward.rows("UPDATE pump_latest SET empty_conservative_d = 5 WHERE pump = $1", keys["low"])

    async def found(**query: object) -> list[str]:
        pumps: list[str] = []
        while True:
            page = (await ward.viewer.get("/pumps", params={"limit": 2, **query})).json()
            pumps += [pump["pump_id"] for pump in page["items"]]
            if page["next_cursor"] is None:
                return pumps
            query["cursor"] = page["next_cursor"]

    assert await found(state=["silent", "overdue"]) == ["overdue", "silent"]
    assert await found(state="heard") == ["heard", "holding", "low"]
    assert await found(state="out_of_service") == ["out"]
    assert await found(condition="stall") == ["holding"]
    assert await found(condition="stall", verdict="does_not_hold") == ["heard", "low"]
    assert await found(condition="stall", verdict="unknown") == ["never", "out", "overdue", "silent"]
    assert await found(condition="silence") == ["silent"]
    assert await found(low_in_d=6) == ["low"]
    assert await found(low_in_d=30, state="overdue") == ["overdue"]
    assert await found(low_in_d=6, condition="stall") == []
    answer = await ward.viewer.get("/pumps", params={"condition": "site_silence"})
    assert answer.status_code == 422


async def test_pumps_are_listed_by_what_is_most_pressing_in_pages_that_miss_none(ward: Ward) -> None:
    keys = await enter(ward, *(f"p{number}" for number in range(6)))
    for number in range(5):
        await hear(ward, keys[f"p{number}"], heard_s_ago=number * 100.0)
        await ward.rows(
            "UPDATE pump_latest SET empty_judged = true, empty_conservative_d = $2, battery_v = $3 WHERE pump = $1",
            *(keys[f"p{number}"], 10.0 - number % 3, 2.5 + number % 2),
        )

    async def listed(sort: str) -> list[str]:
        found, page = [], {}
        while True:
            answer = (await ward.viewer.get("/pumps", params={"sort": sort, "limit": 2, **page})).json()
            found += [pump["pump_id"] for pump in answer["items"]]
            if answer["next_cursor"] is None:
                return found
            page = {"cursor": answer["next_cursor"]}

    assert await listed("empty") == ["p2", "p4", "p1", "p3", "p0", "p5"]
    assert await listed("heard") == ["p5", "p4", "p3", "p2", "p1", "p0"]
    assert await listed("battery") == ["p0", "p2", "p4", "p1", "p3", "p5"]
    assert await listed("pump_id") == sorted(keys)
    other = (await ward.viewer.get("/pumps", params={"limit": 2})).json()["next_cursor"]
    problem(await ward.viewer.get("/pumps", params={"sort": "empty", "cursor": other}), 422)


async def test_an_order_of_a_moment_ago_shows_nobody_who_was_erased_since(ward: Ward) -> None:
    await enter(ward, "p1", "p2", "p3")
    first = (await ward.viewer.get("/pumps", params={"sort": "empty", "limit": 1})).json()
    assert [pump["pump_id"] for pump in first["items"]] == ["p1"]
    await ward.rows("UPDATE pump SET erased_at = now() WHERE pump_id = 'p1'")
    found, page = [], {}
    for _ in range(3):
        answer = (await ward.viewer.get("/pumps", params={"sort": "empty", "limit": 1, **page})).json()
        found += [pump["pump_id"] for pump in answer["items"]]
        page = {"cursor": answer["next_cursor"]}
        if answer["next_cursor"] is None:
            break
    assert found == ["p2", "p3"]


async def test_an_order_of_a_moment_ago_shows_no_pump_of_a_site_that_was_not_asked_for(ward: Ward) -> None:
    await enter(ward, "p1", "p2")
    await ward.rows("UPDATE pump SET site = 'north'")
    asked = {"sort": "empty", "site": "north"}
    first = (await ward.viewer.get("/pumps", params=asked)).json()
    assert [pump["pump_id"] for pump in first["items"]] == ["p1", "p2"]
    await ward.rows("UPDATE pump SET site = NULL WHERE pump_id = 'p1'")
    second = (await ward.viewer.get("/pumps", params=asked)).json()
    assert [pump["pump_id"] for pump in second["items"]] == ["p2"]


async def test_a_pump_shows_what_happened_to_it_last_and_since_when_it_is_programmed_so(ward: Ward) -> None:
    keys = await enter(ward, "p1")
    for seq, kind in enumerate(["program_changed", *["bolus_denied"] * 12]):
        await ward.rows(
            "INSERT INTO event (pump, position, type, measured_at, received_at, body) "
            "VALUES ($1, $2, $3, $4, $4, '{}')",
            *(keys["p1"], position_of(7, seq), kind, NOW + timedelta(seconds=seq)),
        )
    await ward.rows(
        "INSERT INTO gap (pump, from_position, to_position, noticed_at) VALUES ($1, 5, 7, $2)", keys["p1"], NOW
    )
    shown = (await ward.viewer.get("/pumps/p1")).json()
    assert shown["programmed_at"] == "2026-11-22T20:30:00Z"
    assert [event["seq"] for event in shown["last_events"]] == list(range(12, 2, -1))
    assert [(gap["first"]["seq"], gap["last"]["seq"]) for gap in shown["last_gaps"]] == [(5, 7)]
