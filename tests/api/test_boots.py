"""A boot that is further ahead than can be is accepted by an administrator who says why."""

from tests.api.ward import Ward, enter, problem

GIVEN = {"boot": 70_000, "reason": "It was seen to leap."}


async def test_an_administrator_accepts_a_boot_and_that_is_audited(ward: Ward) -> None:
    await enter(ward, "p1")
    problem(await ward.clinician.post("/pumps/p1/accepted-boot", json=GIVEN), 403)
    problem(await ward.administrator.post("/pumps/p9/accepted-boot", json=GIVEN), 404)
    problem(await ward.administrator.post("/pumps/p1/accepted-boot", json=GIVEN | {"boot": 1 << 22}), 422)
    problem(await ward.administrator.post("/pumps/p1/accepted-boot", json=GIVEN | {"reason": ""}), 422)
    said = problem(await ward.administrator.post("/pumps/p1/accepted-boot", json=GIVEN | {"boot": 1_000}), 409)
    assert "no more than 1000 ahead" in str(said["detail"])
    for boot in (80_000, 70_000):
        done = await ward.administrator.post("/pumps/p1/accepted-boot", json=GIVEN | {"boot": boot})
        assert (done.status_code, done.json()) == (200, {"pump_id": "p1", "boot": boot})
    assert [row["boot"] for row in await ward.rows("SELECT boot FROM accepted_boot")] == [70_000]
    audited = await ward.rows(
        "SELECT actor, subject, detail->>'reason' AS reason FROM audit WHERE action = 'boot_accepted'"
    )
    assert [tuple(row) for row in audited] == [("the-administrator", "p1", GIVEN["reason"])] * 2
