"""The rulebook in force, over HTTP: what it says of a pump, what is set over it, what is in shadow."""

from datetime import timedelta
from typing import Any

import pytest

from service.api.app import judge_by
from service.core.override import Override, Scope
from service.core.rulebook import DEFAULT_RULEBOOK, Problem
from service.postgres.rulebooks import enter_into_force
from tests.api.ward import NOW, Ward

GIVEN: dict[str, Any] = {
    "scope": "pump",
    "name": "p1",
    "key": "stall.missed_ul",
    "value": 6,
    "reason": "titration",
    "expires_at": (NOW + timedelta(days=3)).isoformat(),
}


async def test_an_administrator_sets_and_ends_an_override_and_both_are_recorded(ward: Ward) -> None:
    made = await ward.administrator.post("/rules/overrides", json=GIVEN)
    assert made.status_code == 201
    (row,) = (await ward.viewer.get("/rules/overrides")).json()["items"]
    assert (row["id"], row["key"], row["value"], row["author"]) == (
        made.json()["id"],
        GIVEN["key"],
        6,
        "the-administrator",
    )
    again = await ward.administrator.post("/rules/overrides", json=GIVEN | {"value": 5, "author": "Dr. A"})
    assert [row["value"] for row in (await ward.viewer.get("/rules/overrides")).json()["items"]] == [5]
    path = f"/rules/overrides/{again.json()['id']}"
    assert (await ward.administrator.delete(path)).status_code == 204
    assert (await ward.administrator.delete(path)).status_code == 404
    assert (await ward.viewer.get("/rules/overrides")).json()["items"] == []
    over = (await ward.viewer.get("/rules/overrides", params={"ended": True})).json()["items"]
    assert [(row["value"], row["ended_by"]) for row in over] == [(5, "the-administrator"), (6, "the-administrator")]
    actions = [row["action"] for row in await ward.rows("SELECT action FROM audit WHERE action LIKE 'rule%'")]
    assert actions == ["rule_override_set", "rule_override_set", "rule_override_ended"]


async def test_only_an_administrator_may(ward: Ward) -> None:
    for client in (ward.viewer, ward.clinician):
        assert (await client.post("/rules/overrides", json=GIVEN)).status_code == 403
        assert (await client.delete("/rules/overrides/1")).status_code == 403


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": 1000}, "is outside 1 to 100"),
        ({"value": "high"}, "expected a number"),
        ({"key": "stall.mised"}, "no such limit"),
        ({"key": "stall"}, "expected a condition and one of its limits"),
        ({"key": "stall.enabled", "value": False}, "cannot be switched off"),
        ({"reason": ""}, "missing: reason"),
        ({"expires_at": None}, "missing: expires"),
        ({"expires_at": NOW.isoformat()}, "must lie ahead"),
        ({"scope": "drug_class", "name": "aspirin"}, "no such drug class"),
        ({"key": "stall.below_fraction", "value": 0.5}, None),
        ({"key": "reservoir_low.medium_d", "value": 20}, "the earlier step would never be seen"),
    ],
)
async def test_what_a_file_could_not_say_is_refused_with_the_reason(
    ward: Ward, change: dict[str, Any], said: str | None
) -> None:
    answer = await ward.administrator.post("/rules/overrides", json=GIVEN | change)
    if said is None:
        assert answer.status_code == 201
        return
    assert answer.status_code == 422
    assert said in answer.text
    assert await ward.rows("SELECT 1 FROM rule_override") == []


async def test_it_says_what_is_in_force_for_a_pump_and_what_is_wrong_with_the_file(ward: Ward) -> None:
    await ward.rows("INSERT INTO pump (pump_id, drug_class) VALUES ('p1', 'baclofen')")
    over = Override(Scope.PUMP, "p1", "stall", "missed_ul", 6.0, "titration", "Dr. A", 1_900_000_000_000, number=1)
    rulebook = DEFAULT_RULEBOOK.joined([over])
    await enter_into_force(ward.database, rulebook, NOW)
    judge_by(ward.app, rulebook, [Problem(7, "stall.x: no such limit")])
    status = (await ward.viewer.get("/rules")).json()
    assert status["version"] == rulebook.version
    assert status["file_problems"] == [{"line": 7, "message": "stall.x: no such limit"}]
    versions = (await ward.viewer.get("/rules/versions")).json()["items"]
    assert [(each["version"], each["until"]) for each in versions] == [(rulebook.version, None)]
    told = (await ward.viewer.get("/rules/pumps/p1")).json()
    (limit,) = [each for each in told["limits"] if each["name"] == "stall.missed_ul"]
    assert limit == {
        "name": "stall.missed_ul",
        "value": 6,
        "unit": "µL",
        "default": 10,
        "source": "set over it: pump p1",
        "reason": "titration",
        "author": "Dr. A",
        "expires_at": "2030-03-17T17:46:40Z",
    }
    assert (await ward.viewer.get("/rules/pumps/p2")).status_code == 404


async def test_what_is_in_shadow_is_listed_and_is_no_alert(ward: Ward) -> None:
    await ward.rows("INSERT INTO pump (pump_id) VALUES ('p1')")
    await ward.rows(
        "INSERT INTO shadow_alert SELECT pump, 'battery_end', 5, 'high', $1, $1, NULL, NULL, $1, 'v', '{\"step\": 1}'"
        " FROM pump",
        NOW,
    )
    (item,) = (await ward.viewer.get("/rules/shadow", params={"condition": "battery_end"})).json()["items"]
    assert (item["pump_id"], item["ended_at"], item["evidence"]) == ("p1", None, {"step": 1})
    assert (await ward.viewer.get("/rules/shadow", params={"pump_id": "p2"})).json()["items"] == []
    assert (await ward.viewer.get("/alerts")).json()["items"] == []
