"""A pump is erased over HTTP by an administrator who says its name twice, and why."""

from tests.api.ward import Ward, enter, problem

WHY = {"pump_id": "p1", "reason": "Asked for by the patient."}


async def test_a_pump_is_erased_once_it_is_out_of_service(ward: Ward) -> None:
    key = (await enter(ward, "p1", "p2"))["p1"]
    problem(await ward.clinician.post("/pumps/p1/erase", json=WHY), 403)
    assert "in service" in problem(await ward.administrator.post("/pumps/p1/erase", json=WHY), 409)["detail"]
    await enter(ward, "p1", in_service=False)
    await ward.rows("INSERT INTO verdict VALUES ($1, 'stall', 'holds', now())", key)
    found = problem(await ward.administrator.post("/pumps/p1/erase", json=WHY | {"pump_id": "p2"}), 422)
    assert [error["field"] for error in found["errors"]] == ["pump_id"]
    problem(await ward.administrator.post("/pumps/p1/erase", json=WHY | {"reason": ""}), 422)

    gone = await ward.administrator.post("/pumps/p1/erase", json=WHY)
    assert gone.json()["rows"]["verdict"] == 1
    problem(await ward.administrator.post("/pumps/p1/erase", json=WHY), 404)
    problem(await ward.viewer.get("/pumps/p1"), 404)
    problem(await ward.viewer.get("/pumps/p1/series"), 404)
    assert [pump["pump_id"] for pump in (await ward.viewer.get("/pumps")).json()["items"]] == ["p2"]
    assert (await ward.viewer.get("/fleet/statistics")).json()["pumps"] == 1
    again = await enter(ward, "p1")
    assert again["p1"] != key, "a pump that is entered again is another one"
