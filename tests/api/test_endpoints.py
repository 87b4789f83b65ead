"""Webhook endpoints over HTTP."""

import json

from tests.api.ward import Ward, problem

CLINIC = {"name": "clinic", "url": "https://clinic.example/hook?key=of-the-clinic", "accepts_simulated": True}


async def test_a_secret_is_shown_once_and_never_again(ward: Ward) -> None:
    made = await ward.administrator.post("/endpoints", json=CLINIC)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    assert [row["secret"] for row in await ward.rows("SELECT secret FROM endpoint")] == [secret]

    listed = await ward.administrator.get("/endpoints")
    [shown] = listed.json()["items"]
    assert {name: shown[name] for name in CLINIC} == CLINIC
    assert (shown["id"], shown["enabled"]) == (made.json()["id"], True)
    assert secret not in listed.text

    [audited] = await ward.rows("SELECT actor, subject, detail::text FROM audit WHERE action = 'endpoint_added'")
    assert tuple(audited)[:2] == ("the-administrator", made.json()["id"])
    assert json.loads(audited["detail"]) == {"name": "clinic", "accepts_simulated": True}


async def test_a_second_endpoint_of_a_name_is_refused(ward: Ward) -> None:
    assert (await ward.administrator.post("/endpoints", json=CLINIC)).status_code == 201
    assert "clinic" in problem(await ward.administrator.post("/endpoints", json=CLINIC), 409)["detail"]


async def test_an_address_that_would_tell_strangers_is_refused(ward: Ward) -> None:
    for wrong in ({"url": "http://clinic.example"}, {"url": "x"}, {"name": "a\nb"}, {"secret": "mine"}, {"name": 3}):
        found = problem(await ward.administrator.post("/endpoints", json=CLINIC | wrong), 422)
        assert [error["field"] for error in found["errors"]] == list(wrong)
    assert await ward.rows("SELECT FROM endpoint") == []
