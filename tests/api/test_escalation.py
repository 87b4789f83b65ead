"""Contacts, rotas, policies and rules over HTTP, the preview of who would be told, and shelves."""

from typing import Any

from service.core.change import Condition
from tests.api.ward import Ward, enter, problem, raise_alert, turn

POLICY: dict[str, Any] = {
    "steps": [{"after_s": 0, "targets": ["contact:ada"]}, {"after_s": 300, "targets": ["endpoint:*"]}]
}
CLINIC = {"name": "phone", "url": "https://clinic.example/hook", "accepts_simulated": True}


async def put(ward: Ward, path: str, document: dict[str, Any], **headers: str) -> Any:
    return await ward.administrator.put(f"/escalation/{path}", json=document, headers=headers)


async def a_ward(ward: Ward) -> None:
    assert (await ward.administrator.post("/endpoints", json=CLINIC)).status_code == 201
    assert (await put(ward, "contacts/ada", {"endpoints": ["phone"]})).status_code == 200
    assert (await put(ward, "policies/ward", POLICY)).status_code == 200
    assert (await put(ward, "rules", {"rules": [{"policy": "ward", "priority": "high"}]})).status_code == 200


async def test_what_is_put_counts_at_once_under_a_new_version_and_is_audited(ward: Ward) -> None:
    assert (await ward.viewer.get("/escalation/rules")).json()["document"] == {"rules": []}
    await a_ward(ward)
    kept = await ward.viewer.get("/escalation/policies/ward")
    assert (kept.headers["etag"], kept.json()["changed_by"]) == ('"1"', "the-administrator")
    assert kept.json()["document"]["steps"] == POLICY["steps"]
    again = await put(ward, "policies/ward", POLICY | {"repeat_after_s": 600}, **{"If-Match": '"1"'})
    assert again.headers["etag"] == '"2"'
    refused = await put(ward, "policies/ward", POLICY, **{"If-Match": '"1"'})
    assert "somebody else has changed it" in problem(refused, 412)["detail"]
    actions = [row["action"] for row in await ward.rows("SELECT action FROM audit ORDER BY id")]
    assert actions[-4:] == ["contact_changed", "policy_changed", "rules_changed", "policy_changed"]
    assert [item["name"] for item in (await ward.viewer.get("/escalation/contacts")).json()["items"]] == ["ada"]


async def test_mistakes_are_refused_with_their_fields(ward: Ward) -> None:
    for path, document, field in (
        ("policies/ward", {"steps": []}, "steps"),
        ("policies/ward", {"steps": [{"after_s": 0, "targets": ["endpoint:gone"]}]}, "steps[0].targets"),
        ("contacts/ada", {"endpoints": ["gone"]}, "endpoints"),
        ("rotas/night", {"time_zone": "Mars/Base", "contacts": ["ada"], "begins_on": "2026-11-23"}, "time_zone"),
        ("rules", {"rules": [{"policy": "gone"}]}, "rules[0].policy"),
    ):
        errors = problem(await put(ward, path, document), 422)["errors"]
        assert field in [error["field"] for error in errors], path
    assert (await ward.clinician.put("/escalation/policies/ward", json=POLICY)).status_code == 403


async def test_what_is_named_elsewhere_is_not_deleted(ward: Ward) -> None:
    await a_ward(ward)
    assert "the rules" in problem(await ward.administrator.delete("/escalation/policies/ward"), 409)["detail"]
    assert (await put(ward, "rules", {"rules": []})).status_code == 200
    assert (await ward.administrator.delete("/escalation/policies/ward")).status_code == 200
    assert (await ward.viewer.get("/escalation/policies/ward")).status_code == 404
    assert (await put(ward, "policies/ward", POLICY)).headers["etag"] == '"3"'


async def test_the_preview_says_who_would_be_told_and_when(ward: Ward) -> None:
    await a_ward(ward)
    seen = (
        await ward.viewer.get("/escalation/preview", params={"priority": "high", "at": "2026-11-22T20:00:00Z"})
    ).json()
    assert seen["policy"] == "ward"
    assert [(call["what"], call["at"], call["endpoints"]) for call in seen["calls"][:2]] == [
        ("step 1", "2026-11-22T20:00:00Z", ["phone"]),
        ("step 2", "2026-11-22T20:05:00Z", ["phone"]),
    ]
    low = (await ward.viewer.get("/escalation/preview", params={"priority": "low"})).json()
    assert (low["policy"], low["because"]) == ("everybody", "no rule fits: everybody")


async def test_an_alert_is_shelved_for_a_while_and_comes_back(ward: Ward) -> None:
    pumps = await enter(ward, "p1")
    path = f"/alerts/{await raise_alert(ward, turn(pumps['p1'], Condition.UNDER_DELIVERY))}"
    late = await ward.clinician.post(
        f"{path}/shelve", json={"reason": "refill booked", "until": "2026-12-22T20:00:00Z"}
    )
    assert problem(late, 422)["errors"][0]["field"] == "until"
    assert (await ward.clinician.post(f"{path}/shelve", json={"reason": "x"})).status_code == 422
    given = {"reason": "refill booked", "until": "2026-11-23T08:00:00Z"}
    assert (await ward.viewer.post(f"{path}/shelve", json=given)).status_code == 403
    shelved = (await ward.clinician.post(f"{path}/shelve", json=given)).json()
    assert (shelved["shelved_by"], shelved["shelf_reason"]) == ("the-clinician", "refill booked")
    back = (await ward.clinician.post(f"{path}/unshelve", json={"note": "the refill is off"})).json()
    assert back["shelved_until"] is None
    assert [entry["event"] for entry in back["history"]] == ["condition_began", "shelved", "unshelved"]
    assert "not shelved" in problem(await ward.clinician.post(f"{path}/unshelve"), 409)["detail"]
