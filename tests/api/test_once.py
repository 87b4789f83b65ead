"""A POST with a key of its own is done once, however often it is sent."""

import asyncio

from service.core.change import Condition
from tests.api.ward import Ward, enter, problem, raise_alert, turn

POLICY = {"name": "desk", "url": "https://127.0.0.1:8443/hook"}


async def test_the_same_request_is_answered_as_it_was_and_done_once(ward: Ward) -> None:
    key = (await enter(ward, "p1"))["p1"]
    alert = await raise_alert(ward, turn(key, Condition.STALL))
    path, note = f"/alerts/{alert}/acknowledge", {"note": "seen"}
    first = await ward.clinician.post(path, json=note, headers={"Idempotency-Key": "one"})
    again = await ward.clinician.post(path, json=note, headers={"Idempotency-Key": "one"})
    assert first.status_code == again.status_code == 200
    assert (again.content, again.headers["content-type"]) == (first.content, first.headers["content-type"])
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert [row["event"] for row in await ward.rows("SELECT event FROM alert_history ORDER BY number")] == [
        "condition_began",
        "acknowledged",
    ]
    # Without it, or with another key, it is another request; and another account has keys of its own.
    problem(await ward.clinician.post(path, json=note), 409)
    problem(await ward.clinician.post(path, json=note, headers={"Idempotency-Key": "two"}), 409)
    assert (
        "acknowledged by"
        in problem(await ward.administrator.post(path, json=note, headers={"Idempotency-Key": "one"}), 409)["detail"]
    )
    refused = await ward.clinician.post(path, json=note, headers={"Idempotency-Key": "two"})
    assert (refused.status_code, refused.headers["idempotency-replayed"]) == (409, "true")


async def test_a_key_belongs_to_one_request(ward: Ward) -> None:
    key = (await enter(ward, "p1"))["p1"]
    alert = await raise_alert(ward, turn(key, Condition.STALL))
    path = f"/alerts/{alert}/acknowledge"
    assert (await ward.clinician.post(path, json={"note": "a"}, headers={"Idempotency-Key": "k"})).status_code == 200
    for other in (("/rules/overrides", {"note": "a"}), (path, {"note": "b"})):
        found = problem(await ward.clinician.post(other[0], json=other[1], headers={"Idempotency-Key": "k"}), 422)
        assert [error["field"] for error in found["errors"]] == ["Idempotency-Key"]
    for wrong in ("", "x" * 201, "a b"):
        found = problem(await ward.clinician.post(path, json={}, headers={"Idempotency-Key": wrong}), 422)
        assert [error["field"] for error in found["errors"]] == ["Idempotency-Key"]


async def test_of_many_at_once_one_is_done_and_a_secret_is_shown_once(ward: Ward) -> None:
    answers = await asyncio.gather(
        *(ward.administrator.post("/endpoints", json=POLICY, headers={"Idempotency-Key": "e"}) for _ in range(4))
    )
    made = [answer for answer in answers if answer.status_code == 201]
    assert len(made) == 1
    for answer in answers:
        if answer not in made:
            problem(answer, 409)
    later = await ward.administrator.post("/endpoints", json=POLICY, headers={"Idempotency-Key": "e"})
    assert "shown once and is not kept" in problem(later, 409)["detail"]
    assert made[0].json()["secret"].encode() not in b"".join(
        row["body"] or b"" for row in await ward.rows("SELECT body FROM idempotency")
    )


async def test_what_failed_may_come_again_and_keys_are_forgotten_after_a_day(ward: Ward) -> None:
    headers = {"Idempotency-Key": "k"}
    async with ward.database.transaction():
        await ward.database.execute("LOCK TABLE endpoint")
        await ward.database.execute("ALTER TABLE endpoint RENAME TO elsewhere")
        failing = asyncio.create_task(ward.administrator.post("/endpoints", json=POLICY, headers=headers))
        await asyncio.wait([failing], timeout=0.2)
    assert (await failing).status_code == 503
    await ward.rows("ALTER TABLE elsewhere RENAME TO endpoint")
    assert (await ward.administrator.post("/endpoints", json=POLICY, headers=headers)).status_code == 201
    ward.clock.advance(25 * 3600)
    problem(await ward.administrator.post("/endpoints", json=POLICY, headers=headers), 409)
    assert "in use" not in (await ward.rows("SELECT key FROM idempotency"))[0]["key"]
    assert len(await ward.rows("SELECT FROM idempotency")) == 1
