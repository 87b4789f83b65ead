"""Administrators say who may come in."""

import httpx

from tests.api.ward import Ward, problem

NEW = {"name": "dr-weber", "role": "clinician", "sites": ["north"], "password": "a horse, a battery and a staple"}


async def test_an_account_is_made_changed_and_disabled_of_the_version_that_was_seen(ward: Ward) -> None:
    made = await ward.administrator.post("/accounts", json=NEW)
    assert made.status_code == 201, made.text
    assert made.headers["etag"] == '"1"'
    assert "password" not in made.json()
    assert made.json()["has_password"] is True
    change = {"role": "viewer", "sites": None}
    problem(await ward.administrator.put("/accounts/dr-weber", json=change), 428)
    changed = await ward.administrator.put("/accounts/dr-weber", json=change, headers={"If-Match": '"1"'})
    assert (changed.json()["role"], changed.json()["sites"], changed.headers["etag"]) == ("viewer", None, '"2"')
    problem(await ward.administrator.put("/accounts/dr-weber", json=change, headers={"If-Match": '"1"'}), 412)
    problem(await ward.administrator.put("/accounts/nobody", json=change, headers={"If-Match": '"1"'}), 404)
    listed = (await ward.administrator.get("/accounts")).json()["items"]
    assert [one["name"] for one in listed] == ["dr-weber"]
    actions = await ward.rows("SELECT action, actor FROM audit WHERE subject = 'dr-weber' ORDER BY id")
    assert [tuple(row) for row in actions] == [
        ("account_created", "the-administrator"),
        ("account_changed", "the-administrator"),
    ]


async def test_two_are_never_called_alike(ward: Ward) -> None:
    assert (await ward.administrator.post("/accounts", json=NEW)).status_code == 201
    problem(await ward.administrator.post("/accounts", json=NEW | {"name": "DR-Weber"}), 409)
    problem(await ward.administrator.post("/accounts", json=NEW | {"name": "The-Viewer"}), 409)
    problem(await ward.administrator.post("/tokens", json={"name": "Dr-weber", "role": "viewer"}), 409)


async def test_what_is_wrong_is_named(ward: Ward) -> None:
    for given, field in (
        ({"password": "short"}, "password"),
        ({"name": "a\nb"}, "name"),
        ({"name": ""}, "name"),
        ({"role": "surgeon"}, "role"),
        ({"sites": ["no such/site"]}, "sites.0"),
    ):
        answer = problem(await ward.administrator.post("/accounts", json=NEW | given), 422)
        assert answer["errors"][0]["field"] == field


async def test_somebody_who_has_forgotten_their_password_is_given_another_one(ward: Ward) -> None:
    await ward.administrator.post("/accounts", json=NEW)
    new = {"password": "another horse, another battery"}
    assert (await ward.administrator.put("/accounts/dr-weber/password", json=new)).status_code == 204
    async with httpx.AsyncClient(base_url=ward.url, timeout=60) as browser:
        for password, status in ((NEW["password"], 401), (new["password"], 200)):
            given = {"name": "dr-weber", "password": password}
            assert (await browser.post("/api/v1/session", json=given)).status_code == status
    problem(await ward.administrator.put("/accounts/dr-weber/password", json={"password": "dr-weber"}), 422)
    problem(await ward.administrator.put("/accounts/nobody/password", json=new), 404)
    problem(await ward.clinician.put("/accounts/dr-weber/password", json=new), 403)


async def test_only_administrators_let_in(ward: Ward) -> None:
    for one in (ward.viewer, ward.clinician):
        problem(await one.post("/accounts", json=NEW), 403)
        problem(await one.get("/accounts"), 403)
        problem(await one.get("/tokens"), 403)
        problem(await one.post("/tokens", json={"name": "x", "role": "viewer"}), 403)


def with_token(ward: Ward, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{ward.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60)


async def test_a_token_does_what_it_was_narrowed_to_until_it_expires_or_is_revoked(ward: Ward) -> None:
    given = {
        "name": "reporter",
        "role": "administrator",
        "scopes": ["read"],
        "expires_at": (ward.clock.now.replace(microsecond=0)).isoformat(),
    }
    problem(await ward.administrator.post("/tokens", json=given), 422)
    ward.clock.advance(-3600)
    made = await ward.administrator.post("/tokens", json=given)
    assert made.status_code == 201, made.text
    async with with_token(ward, made.json()["token"]) as reporter:
        assert (await reporter.get("/pumps")).status_code == 200
        assert (await reporter.get("/session")).json()["scopes"] == ["read"]
        assert "registry" in problem(await reporter.put("/pumps/p1", json={}), 403)["detail"]
        assert "access" in problem(await reporter.get("/tokens"), 403)["detail"]
        ward.clock.advance(3601)
        problem(await reporter.get("/pumps"), 401)
    (listed,) = [one for one in (await ward.administrator.get("/tokens")).json()["items"] if one["name"] == "reporter"]
    assert listed["scopes"] == ["read"]
    assert (await ward.administrator.delete("/tokens/reporter")).status_code == 204
    problem(await ward.administrator.delete("/tokens/reporter"), 404)


async def test_nobody_locks_themselves_out(ward: Ward) -> None:
    await ward.administrator.post("/accounts", json=NEW | {"role": "administrator", "name": "the-boss", "sites": None})
    async with httpx.AsyncClient(base_url=ward.url, timeout=60) as boss:
        entered = await boss.post("/api/v1/session", json={"name": "the-boss", "password": NEW["password"]})
        headers = {"X-CSRF-Token": entered.json()["csrf_token"], "If-Match": '"1"'}
        for change in ({"role": "viewer"}, {"role": "administrator", "disabled": True}):
            problem(await boss.put("/api/v1/accounts/THE-BOSS", json=change, headers=headers), 422)
