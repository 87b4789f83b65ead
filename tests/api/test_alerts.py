"""Alerts over HTTP: found, shown whole, and answered by people."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from service.core.change import Condition, Turn
from service.core.reading import position_of
from tests.api.ward import NOW, Ward, enter, problem, raise_alert, turn
from tests.commands.here import ran_beside


async def test_an_alert_is_shown_with_its_evidence_its_history_and_everybody_who_was_told(ward: Ward) -> None:
    keys = await enter(ward, "p1")
    made = await ward.administrator.post("/endpoints", json={"name": "clinic", "url": "https://clinic.example/hook"})
    alert_id = await raise_alert(ward, turn(keys["p1"], Condition.STALL))
    for number, outcome, status in ((1, "timed_out", None), (2, "delivered", 204)):
        await ward.rows(
            "INSERT INTO attempt (notification_id, number, at, outcome, status, duration_ms, detail) "
            "SELECT id, $1, $2, $3, $4, 41.5, 'x' FROM notification",
            *(number, NOW, outcome, status),
        )
    shown = (await ward.viewer.get(f"/alerts/{alert_id}")).json()

    assert (shown["pump_id"], shown["site"], shown["condition"]) == ("p1", "north", "stall")
    assert (shown["priority"], shown["state"], shown["latching"]) == ("high", "active", True)
    assert (shown["began_at"], shown["detected_at"]) == ("2026-11-22T20:29:00Z", "2026-11-22T20:30:00Z")
    assert shown["evidence"]["missed_ul"] == 10.5
    assert shown["do_now"]
    [entry] = shown["history"]
    assert (entry["event"], entry["boot"], entry["seq"], entry["state"]) == ("condition_began", 7, 18042, "active")
    [told] = shown["notifications"]
    assert (told["endpoint"], told["kind"], told["state"]) == ("clinic", "activated", "pending")
    assert [(one["outcome"], one["status"], one["duration_ms"]) for one in told["attempts"]] == [
        ("timed_out", None, 41.5),
        ("delivered", 204, 41.5),
    ]
    assert made.json()["secret"] not in json.dumps(shown)
    assert "clinic.example" not in json.dumps(shown)


async def test_a_person_acknowledges_once_and_the_second_is_told_who_was_first(ward: Ward) -> None:
    keys = await enter(ward, "p1")
    alert_id = await raise_alert(ward, turn(keys["p1"], Condition.STALL))
    ward.clock.advance(90)
    answers = await asyncio.gather(
        *(
            client.post(f"/alerts/{alert_id}/acknowledge", json={"note": "On the way."})
            for client in (ward.clinician, ward.administrator)
        )
    )
    winner, loser = sorted(answers, key=lambda answer: answer.status_code)
    assert winner.status_code == 200, winner.text
    by = winner.json()["acknowledged_by"]
    assert by in {"the-clinician", "the-administrator"}
    assert f"acknowledged by {by} at 2026-11-22T20:31:30Z" in problem(loser, 409)["detail"]

    shown = (await ward.viewer.get(f"/alerts/{alert_id}")).json()
    assert (shown["state"], shown["acknowledged_at"]) == ("active", "2026-11-22T20:31:30Z")
    assert [(entry["event"], entry["actor"], entry["note"]) for entry in shown["history"]][1:] == [
        ("acknowledged", by, "On the way.")
    ]
    audited = await ward.rows("SELECT actor, subject, detail->>'note' FROM audit WHERE action = 'alert_acknowledged'")
    assert [tuple(row) for row in audited] == [(by, alert_id, "On the way.")]


async def test_a_latched_alert_is_reset_by_a_person_and_only_when_its_condition_is_over(ward: Ward) -> None:
    keys = await enter(ward, "p1")
    alert_id = await raise_alert(ward, turn(keys["p1"], Condition.STALL))
    assert "active" in problem(await ward.clinician.post(f"/alerts/{alert_id}/reset"), 409)["detail"]
    await raise_alert(ward, turn(keys["p1"], Condition.STALL, Turn.ENDED, position_of(7, 18050)))
    assert (await ward.viewer.get(f"/alerts/{alert_id}")).json()["state"] == "latched"

    answer = await ward.clinician.post(f"/alerts/{alert_id}/reset", json={"note": "Rotor seen turning."})
    assert (answer.status_code, answer.json()["state"]) == (200, "resolved")
    problem(await ward.clinician.post(f"/alerts/{alert_id}/reset"), 409)
    problem(await ward.clinician.post(f"/alerts/{alert_id}/acknowledge"), 409)
    actions = await ward.rows("SELECT action FROM audit WHERE subject = $1", alert_id)
    assert [row["action"] for row in actions] == ["alert_reset"]


async def test_a_note_is_text_that_can_be_kept(ward: Ward) -> None:
    keys = await enter(ward, "p1")
    path = f"/alerts/{await raise_alert(ward, turn(keys['p1'], Condition.STALL))}/acknowledge"
    as_json = {"Content-Type": "application/json"}
    for note in ('"\\u0000"', f'"{"x" * 2001}"', '"\\ud800"', "3", "null"):
        answer = await ward.clinician.post(path, content=f'{{"note": {note}}}', headers=as_json)
        assert [error["field"] for error in problem(answer, 422)["errors"]] == ["note"], note
    answer = await ward.clinician.post(path, json={"note": "Two lines:\nSchläft, \N{PILL} gegeben."})
    assert answer.json()["history"][-1]["note"] == "Two lines:\nSchläft, \N{PILL} gegeben."


async def test_alerts_are_found_by_what_they_are_in_pages_newest_first(ward: Ward) -> None:
    keys = await enter(ward, "p1", "p2", "p3")
    conditions = (Condition.STALL, Condition.UNDER_DELIVERY, Condition.CLOCK_OFF)
    raised = []
    for pump_id in keys:
        ward.clock.advance(60)
        # Those of one pump share their instant: a page may end between them.
        raised.append(sorted([await raise_alert(ward, turn(keys[pump_id], one)) for one in conditions]))
    await raise_alert(ward, turn(keys["p1"], Condition.CLOCK_OFF, Turn.ENDED, position_of(7, 18050)))

    async def ids(*query: tuple[str, object]) -> list[str]:
        found, cursor = [], None
        while True:
            more = [("cursor", cursor)] if cursor else []
            page = (await ward.viewer.get("/alerts", params=[*query, *more])).json()
            found += [alert["id"] for alert in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                return found

    everything = [one for of_pump in reversed(raised) for one in of_pump]
    assert await ids() == await ids(("limit", 1)) == await ids(("limit", 4)) == everything
    assert await ids(("pump", "p2")) == raised[1]
    assert len(await ids(("condition", "stall"), ("condition", "clock_off"), ("limit", 5))) == 6
    assert len(await ids(("priority", "high"))) == 3
    assert len(await ids(("state", "resolved"))) == 1
    assert len(await ids(("state", "active"), ("state", "latched"), ("pump", "p1"))) == 2
    since = (NOW + timedelta(seconds=120)).isoformat()
    assert await ids(("since", since)) == everything[:6]


async def test_an_alert_is_one_page_to_print(ward: Ward, postgres_url: str) -> None:
    alert = await raise_alert(ward, turn((await enter(ward, "p1"))["p1"], Condition.STALL))
    printed = await ward.viewer.get(f"/alerts/{alert}/report")
    assert printed.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Stall, p1</h1>" in printed.text
    assert (await ward.viewer.get(f"/alerts/{uuid4()}/report")).status_code == 404
    said = await ran_beside("alerts", "report", alert, "--database-url", postgres_url)
    assert (said.code, "<h1>Stall, p1</h1>" in said.out) == (0, True)


async def test_what_somebody_else_has_changed_meanwhile_is_not_answered_unseen(ward: Ward) -> None:
    keys = await enter(ward, "p1")
    alert_id = await raise_alert(ward, turn(keys["p1"], Condition.BATTERY_LOW))
    seen = (await ward.viewer.get(f"/alerts/{alert_id}")).headers["etag"]
    first = await ward.administrator.post(f"/alerts/{alert_id}/acknowledge", headers={"If-Match": seen})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"'), first.text
    until = (NOW + timedelta(minutes=10)).isoformat()
    for path, body in (
        ("acknowledge", {}),
        ("reset", {}),
        ("unshelve", {}),
        ("shelve", {"reason": "x", "until": until}),
    ):
        late = await ward.clinician.post(f"/alerts/{alert_id}/{path}", json=body, headers={"If-Match": seen})
        assert "acknowledged by the-administrator" in str(problem(late, 412)["detail"])
    shown = (await ward.viewer.get(f"/alerts/{alert_id}")).json()
    assert (shown["version"], shown["shelved_until"]) == (2, None)
    now = await ward.clinician.post(
        f"/alerts/{alert_id}/shelve", json={"reason": "x", "until": until}, headers={"If-Match": '"2"'}
    )
    assert now.headers["etag"] == '"3"'


async def test_alerts_are_found_by_site_kind_time_and_by_whether_somebody_has_answered(ward: Ward) -> None:
    keys = {**await enter(ward, "p1", site="north"), **await enter(ward, "p2", site="south")}
    stall = await raise_alert(ward, turn(keys["p1"], Condition.STALL))
    ward.clock.advance(60)
    battery = await raise_alert(ward, turn(keys["p2"], Condition.BATTERY_LOW))
    clock = await raise_alert(ward, turn(keys["p2"], Condition.CLOCK_OFF))
    await ward.clinician.post(f"/alerts/{stall}/acknowledge")
    until = (ward.clock() + timedelta(minutes=10)).isoformat()
    await ward.clinician.post(f"/alerts/{battery}/shelve", json={"reason": "x", "until": until})

    async def found(**asked: str) -> set[str]:
        answer = await ward.viewer.get("/alerts", params=asked)
        assert answer.status_code == 200, answer.text
        return {alert["id"] for alert in answer.json()["items"]}

    assert await found(site="south") == {battery, clock}
    assert await found(kind="technical") == {clock}
    assert await found(acknowledged="true") == {stall}
    assert await found(acknowledged="false", shelved="false") == {clock}
    assert await found(shelved="true") == {battery}
    assert await found(until=ward.clock().isoformat()) == {stall}
    same = ward.clock().isoformat()
    problem(await ward.viewer.get("/alerts", params={"since": same, "until": same}), 422)


async def test_the_evidence_is_a_chart_with_what_crossed_which_limit(ward: Ward) -> None:
    keys = await enter(ward, "p1")
    await ward.rows(
        "INSERT INTO reading SELECT $1::timestamptz - n * interval '20 s', $2::bigint - n, $1, $3, 0.5, 0.02, 18,"
        " 2.9, 0 FROM generate_series(0, 2) AS n",
        *(NOW, position_of(7, 18042), keys["p1"]),
    )
    change = turn(keys["p1"], Condition.STALL)
    alert_id = await raise_alert(ward, replace(change, evidence={"missed_ul": 10.5, "limit_missed_ul": 10.0}))
    evidence = (await ward.viewer.get(f"/alerts/{alert_id}/evidence")).json()
    assert evidence["quantity"] == "flow_ml_d"
    assert evidence["columns"]["measured_at"][-1].startswith("2026-11-22T20:30:00")
    assert evidence["columns"]["flow_ml_d"] == [0.02] * len(evidence["columns"]["measured_at"])
    (limit,) = evidence["limits"]
    assert (limit["name"], limit["value"], bool(limit["unit"] and limit["meaning"])) == ("missed_ul", 10.0, True)
    (crossed,) = evidence["crossed"]
    assert (crossed["statistic"], crossed["value"], crossed["limit_value"]) == ("missed_ul", 10.5, 10.0)
    assert evidence["statistics"]["missed_ul"] == 10.5
    problem(await ward.viewer.get(f"/alerts/{uuid4()}/evidence"), 404)
