"""What a clinician records of a pump: a refill, an MRI exam, an absence, an exchange."""

from datetime import timedelta

import pytest

from tests.api.ward import NOW, Ward, enter, problem

HOUR = timedelta(hours=1)


def window(from_h: float, until_h: float) -> dict[str, str]:
    return {"from_at": (NOW + from_h * HOUR).isoformat(), "until_at": (NOW + until_h * HOUR).isoformat()}


async def test_a_refill_is_recorded_with_what_the_registry_says_from_then_on(ward: Ward) -> None:
    await enter(ward, "p1")
    given = {
        "at": (NOW - HOUR).isoformat(),
        "reservoir_after_ml": 20.0,
        "aspirated_ml": 2.6,
        "next_refill_on": "2027-01-31",
        "note": "As planned.",
    }
    made = await ward.clinician.post("/pumps/p1/refills", json=given)
    assert made.status_code == 201, made.text
    care = made.json()
    assert (care["kind"], care["reservoir_after_ml"], care["aspirated_ml"]) == ("refill", 20.0, 2.6)
    assert (care["recorded_by"], care["note"], care["until_at"]) == ("the-clinician", "As planned.", None)
    pump = await ward.viewer.get("/pumps/p1")
    assert (pump.json()["next_refill_on"], pump.headers["etag"]) == ("2027-01-31", '"2"')
    assert (await ward.viewer.get("/pumps/p1/care")).json()["items"] == [care]
    back = await ward.clinician.post(f"/pumps/p1/care/{care['id']}/end")
    assert back.json()["ended_by"] == "the-clinician"
    problem(await ward.clinician.post(f"/pumps/p1/care/{care['id']}/end"), 409)
    # What is said of a patient is not in the audit, which stays when the pump is forgotten.
    said = await ward.rows("SELECT action, detail::text AS detail FROM audit WHERE action LIKE 'refill%' ORDER BY id")
    assert [row["action"] for row in said] == ["refill_recorded", "refill_ended"]
    assert "planned" not in said[0]["detail"]
    assert "2.6" not in said[0]["detail"]


@pytest.mark.parametrize(("path", "shown"), [("mri-windows", "mri_window"), ("absences", "absence")])
async def test_a_window_is_shown_at_the_pump_until_it_is_over_or_ended(ward: Ward, path: str, shown: str) -> None:
    await enter(ward, "p1")
    given = window(1, 3)
    made = await ward.clinician.post(f"/pumps/p1/{path}", json=given)
    assert made.status_code == 201, made.text
    pump = (await ward.viewer.get("/pumps/p1")).json()
    assert pump[shown] == {name: at.replace("+00:00", "Z") for name, at in given.items()}
    said = problem(await ward.clinician.post(f"/pumps/p1/{path}", json=window(2, 4)), 409)
    assert "the-clinician has recorded" in str(said["detail"])
    ended = await ward.clinician.post(f"/pumps/p1/care/{made.json()['id']}/end")
    assert ended.status_code == 200, ended.text
    again = await ward.clinician.post(f"/pumps/p1/{path}", json=window(1, 2))
    ward.clock.advance(2 * 3600)
    assert (await ward.viewer.get("/pumps/p1")).json()[shown] is None
    problem(await ward.clinician.post(f"/pumps/p1/care/{again.json()['id']}/end"), 409)
    listed = (await ward.viewer.get("/pumps/p1/care", params={"kind": shown})).json()["items"]
    assert [care["ended_by"] for care in listed] == [None, "the-clinician"]


async def test_an_exam_is_a_fact_of_the_pump_from_the_moment_of_its_record(ward: Ward) -> None:
    await enter(ward, "p1")
    await ward.rows("UPDATE pump SET updated_at = now() - interval '1 day'")
    made = (await ward.clinician.post("/pumps/p1/mri-windows", json=window(-1, 1))).json()
    fact = "SELECT mri_from_at, mri_until_at FROM pump WHERE updated_at > now() - interval '1 h'"
    assert [tuple(row) for row in await ward.rows(fact)] == [(NOW - HOUR, NOW + HOUR)]
    await ward.clinician.post(f"/pumps/p1/care/{made['id']}/end")
    assert [tuple(row) for row in await ward.rows(fact)] == [(NOW - HOUR, NOW)]
    ahead = (await ward.clinician.post("/pumps/p1/mri-windows", json=window(1, 2))).json()
    await ward.clinician.post(f"/pumps/p1/care/{ahead['id']}/end")
    assert [tuple(row) for row in await ward.rows(fact)] == [(None, None)]


async def test_the_pump_that_takes_anothers_place_is_listed_as_it_was_and_each_shows_the_other(ward: Ward) -> None:
    await enter(ward, "old")
    await ward.rows("INSERT INTO pump (pump_id) VALUES ('new')")  # heard before anybody listed it
    given = {"pump_id": "new", "at": NOW.isoformat(), "changes": {"model": "sensor-40", "capacity_ml": 40.0}}
    made = await ward.clinician.post("/pumps/old/exchange", json=given)
    assert made.status_code == 201, made.text
    assert (made.json()["kind"], made.json()["successor"]) == ("exchange", "new")
    old, new = [(await ward.viewer.get(f"/pumps/{pump_id}")).json() for pump_id in ("old", "new")]
    assert (old["in_service"], old["replaced_by"], old["replaces"]) == (False, "new", None)
    assert (new["in_service"], new["replaced_by"], new["replaces"]) == (True, None, "old")
    assert (new["model"], new["capacity_ml"], new["implanted_on"]) == ("sensor-40", 40.0, "2026-11-22")
    assert all(new[name] == old[name] for name in ("site", "drug_class", "concentration_ug_ml", "interval_s"))
    # Once, and only with a pump that is nobody's yet.
    await enter(ward, "other")
    for pump_id in ("other", "old"):
        problem(await ward.clinician.post("/pumps/old/exchange", json={**given, "pump_id": pump_id}), 409)
    problem(await ward.clinician.post("/pumps/old/exchange", json={**given, "pump_id": "newer"}), 409)
    assert (await ward.viewer.get("/pumps/newer")).status_code == 404
    problem(await ward.clinician.post(f"/pumps/old/care/{made.json()['id']}/end"), 409)


@pytest.mark.parametrize(
    ("path", "given", "field"),
    [
        ("refills", {"at": (NOW + HOUR).isoformat(), "reservoir_after_ml": 20}, "at"),
        ("refills", {"at": (NOW - 9000 * HOUR).isoformat(), "reservoir_after_ml": 20}, "at"),
        ("refills", {"at": "2026-11-22T20:00:00", "reservoir_after_ml": 20}, "at"),
        ("refills", {"at": NOW.isoformat(), "reservoir_after_ml": -1}, "reservoir_after_ml"),
        ("refills", {"at": NOW.isoformat(), "reservoir_after_ml": 20, "volume": 3}, "volume"),
        ("refills", {"at": NOW.isoformat(), "reservoir_after_ml": 20, "note": "\x00"}, "note"),
        ("mri-windows", window(1, 1), "until_at"),
        ("mri-windows", window(1, 10), "until_at"),
        ("mri-windows", window(-2, -1), "until_at"),
        ("absences", window(0, 24 * 91), "until_at"),
        ("absences", window(24 * 400, 24 * 401), "from_at"),
        ("exchange", {"pump_id": "a b", "at": NOW.isoformat()}, "pump_id"),
        ("exchange", {"pump_id": "new", "at": NOW.isoformat(), "changes": {"capacity_ml": -1}}, "changes.capacity_ml"),
        ("exchange", {"pump_id": "new", "at": NOW.isoformat(), "changes": {"pump_id": "x"}}, "changes.pump_id"),
        ("exchange", {"pump_id": "new", "at": NOW.isoformat(), "changes": {"size": 1}}, "changes.size"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_field_to_blame(
    ward: Ward, path: str, given: dict[str, object], field: str
) -> None:
    await enter(ward, "p1")
    found = problem(await ward.clinician.post(f"/pumps/p1/{path}", json=given), 422)
    assert [error["field"] for error in found["errors"]] == [field]
    assert (await ward.viewer.get("/pumps/p1/care")).json()["items"] == []


async def test_only_clinicians_record_and_only_of_pumps_that_there_are(ward: Ward) -> None:
    await enter(ward, "p1")
    problem(await ward.viewer.post("/pumps/p1/absences", json=window(0, 1)), 403)
    for path, given in (
        ("absences", window(0, 1)),
        ("refills", {"at": NOW.isoformat(), "reservoir_after_ml": 20}),
        ("exchange", {"pump_id": "p1", "at": NOW.isoformat()}),
    ):
        problem(await ward.clinician.post(f"/pumps/nobody/{path}", json=given), 404)
    problem(await ward.clinician.post("/pumps/p1/care/7/end"), 404)
    problem(await ward.viewer.get("/pumps/nobody/care"), 404)


async def test_what_is_filled_in_is_what_the_registry_says_from_then_on(ward: Ward) -> None:
    await enter(ward, "p1")
    given = {"at": NOW.isoformat(), "reservoir_after_ml": 20, "drug": "morphine", "drug_class": "opioid"}
    wrong = problem(await ward.clinician.post("/pumps/p1/refills", json={**given, "concentration_ug_ml": 0}), 422)
    assert [error["field"] for error in wrong["errors"]] == ["concentration_ug_ml"]
    made = await ward.clinician.post("/pumps/p1/refills", json={**given, "concentration_ug_ml": 10_000})
    assert made.status_code == 201, made.text
    pump = (await ward.viewer.get("/pumps/p1")).json()
    assert (pump["drug"], pump["drug_class"], pump["concentration_ug_ml"]) == ("morphine", "opioid", 10_000)
    assert len((await ward.viewer.get("/pumps/p1/care")).json()["items"]) == 1
    said = await ward.rows(
        "SELECT actor, detail -> 'after' ->> 'drug' AS drug FROM audit WHERE action = 'pump_written'"
    )
    assert tuple(said[-1]) == ("the-clinician", "morphine")
    await ward.rows("INSERT INTO pump (pump_id) VALUES ('unlisted')")
    problem(await ward.clinician.post("/pumps/unlisted/refills", json=given), 409)
    assert (await ward.viewer.get("/pumps/unlisted/care")).json()["items"] == []


async def test_a_pump_is_taken_out_of_service_and_put_back_and_who_did_it_is_known(ward: Ward) -> None:
    await enter(ward, "p1")
    problem(await ward.viewer.post("/pumps/p1/out-of-service", json={}), 403)
    problem(await ward.clinician.post("/pumps/p1/in-service"), 409)
    out = await ward.clinician.post("/pumps/p1/out-of-service", json={"note": "Explanted."})
    assert (out.status_code, out.json()["in_service"], out.json()["version"]) == (200, False, 2)
    problem(await ward.clinician.post("/pumps/p1/out-of-service", json={}), 409)
    (care,) = (await ward.viewer.get("/pumps/p1/care")).json()["items"]
    assert (care["kind"], care["note"], care["recorded_by"]) == ("out_of_service", "Explanted.", "the-clinician")
    problem(await ward.clinician.post(f"/pumps/p1/care/{care['id']}/end"), 409)
    back = await ward.administrator.post("/pumps/p1/in-service")
    assert back.json()["in_service"] is True
    (care,) = (await ward.viewer.get("/pumps/p1/care")).json()["items"]
    assert care["ended_by"] == "the-administrator"
    await ward.clinician.post("/pumps/p1/exchange", json={"pump_id": "p2", "at": NOW.isoformat()})
    assert "p2 took its place" in str(problem(await ward.clinician.post("/pumps/p1/in-service"), 409)["detail"])
    for path in ("out-of-service", "in-service"):
        problem(await ward.clinician.post(f"/pumps/nobody/{path}", json={}), 404)
