"""People come in by password or by link, and go; programs by token."""

import asyncio
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from service.api.cookies import COOKIE
from service.postgres import people
from service.postgres.accounts import Role
from tests.api.ward import Ward, problem

PASSWORD = "a horse, a battery and a staple"


@pytest.fixture
async def weber(ward: Ward) -> Ward:
    """A clinician with a password."""
    await people.add(
        ward.database, "dr-weber", Role.CLINICIAN, "test", password=PasswordHasher(time_cost=1).hash(PASSWORD)
    )
    return ward


async def log_in(ward: Ward, name: str = "dr-weber", password: str = PASSWORD) -> httpx.Response:
    return await ward.client.post("/api/v1/session", json={"name": name, "password": password})


async def entered(ward: Ward) -> dict[str, str]:
    """The headers of a page of ours, after logging in."""
    answer = await log_in(ward)
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": answer.json()["csrf_token"], "Origin": ward.url}


async def test_a_session_lets_in_until_it_is_ended(weber: Ward) -> None:
    problem(await weber.client.get("/api/v1/pumps"), 401)
    headers = await entered(weber)
    assert (await weber.client.get("/api/v1/pumps")).status_code == 200
    who = (await weber.client.get("/api/v1/session")).json()
    assert (who["name"], who["role"], who["csrf_token"]) == ("dr-weber", "clinician", headers["X-CSRF-Token"])
    kept = dict(weber.client.cookies)
    assert (await weber.client.delete("/api/v1/session", headers=headers)).status_code == 204
    assert not weber.client.cookies
    weber.client.cookies.update(kept)
    problem(await weber.client.get("/api/v1/pumps"), 401)
    actions = [
        row["action"] for row in await weber.rows("SELECT action FROM audit WHERE actor = 'dr-weber' ORDER BY id")
    ]
    assert actions == ["logged_in", "logged_out"]


async def test_the_cookie_is_out_of_reach_of_scripts_and_the_secrets_are_not_stored(weber: Ward) -> None:
    answer = await log_in(weber)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    stored = str(await weber.rows("SELECT session::text FROM session UNION ALL SELECT account::text FROM account"))
    session = weber.client.cookies[COOKIE]
    assert session not in stored
    assert session.encode().hex() not in stored
    assert PASSWORD not in stored


async def test_a_write_by_session_needs_what_only_a_page_of_ours_knows(weber: Ward) -> None:
    headers = await entered(weber)
    acknowledge = "/api/v1/alerts/0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11/acknowledge"
    for wrong in (
        {},
        {"X-CSRF-Token": "guessed"},
        {"X-CSRF-Token": headers["X-CSRF-Token"], "Origin": "https://elsewhere.example"},
        {"X-CSRF-Token": headers["X-CSRF-Token"], "Origin": "null"},
    ):
        problem(await weber.client.post(acknowledge, json={}, headers=wrong), 403)
    problem(await weber.client.post(acknowledge, json={}, headers=headers), 404)


async def test_a_session_ends_by_idling_by_age_by_a_new_password_and_with_its_account(weber: Ward) -> None:
    for ended in ("idle", "old", "password", "disabled"):
        await entered(weber)
        if ended == "idle":
            weber.clock.advance(people.IDLE_FOR.total_seconds() + 1)
        elif ended == "old":
            for _ in range(15):
                weber.clock.advance(11 * 3600)
                assert (await weber.client.get("/api/v1/pumps")).status_code == 200
            weber.clock.advance(11 * 3600)
        elif ended == "password":
            new = PasswordHasher(time_cost=1).hash(PASSWORD)
            await people.set_password(weber.database, "DR-WEBER", new, "test")
        else:
            person = (await weber.administrator.get("/accounts/dr-weber")).json()
            change = {"role": "clinician", "disabled": True}
            made = await weber.administrator.put(
                "/accounts/dr-weber", json=change, headers={"If-Match": f'"{person["version"]}"'}
            )
            assert made.status_code == 200, made.text
        assert "log in again" in problem(await weber.client.get("/api/v1/pumps"), 401)["detail"]
    problem(await log_in(weber), 401)


async def test_whoever_guesses_is_slowed_down_and_learns_nothing(weber: Ward) -> None:
    said = {problem(await log_in(weber, name, "wrong"), 401)["detail"] for name in ("dr-weber", "nobody")}
    assert len(said) == 1
    for _ in range(4):
        problem(await log_in(weber, password="wrong"), 401)
    refused = await log_in(weber)
    problem(refused, 429)
    assert 0 < int(refused.headers["retry-after"]) <= 30
    weber.clock.advance(31)
    assert (await log_in(weber)).status_code == 200
    assert await weber.rows("SELECT FROM login_failure WHERE what = sha256('name dr-weber')") == []


async def test_an_account_sets_its_own_password(weber: Ward) -> None:
    headers = await entered(weber)
    change = "/api/v1/session/password"
    for given, field in (
        ({"old": "wrong", "new": "another horse and battery"}, "old"),
        ({"old": PASSWORD, "new": "short"}, "new"),
        ({"old": PASSWORD, "new": "dr-weber dr-weber"}, "new"),
        ({"old": PASSWORD, "new": "aaaaaaaaaaaaaaaa"}, "new"),
    ):
        answer = problem(await weber.client.put(change, json=given, headers=headers), 422)
        assert answer["errors"][0]["field"] == field
    given = {"old": PASSWORD, "new": "another horse and battery"}
    assert (await weber.client.put(change, json=given, headers=headers)).status_code == 204
    problem(await log_in(weber), 401)
    assert (await log_in(weber, password="another horse and battery")).status_code == 200


async def test_a_link_logs_in_once_and_not_for_long(weber: Ward) -> None:
    made = (await weber.administrator.post("/accounts/dr-weber/link")).json()
    first, again = await asyncio.gather(*(weber.client.get(made["path"]) for _ in range(2)))
    assert sorted([first.status_code, again.status_code]) == [HTTPStatus.SEE_OTHER, HTTPStatus.GONE]
    assert (await weber.client.get("/api/v1/session")).json()["name"] == "dr-weber"
    weber.client.cookies.clear()
    made = (await weber.administrator.post("/accounts/dr-weber/link")).json()
    weber.clock.advance(people.LINK_LASTS.total_seconds() + 1)
    gone = await weber.client.get(made["path"])
    assert gone.status_code == HTTPStatus.GONE
    assert "Ask for another" in gone.text
    assert (await weber.client.get("/login/guessed")).status_code == HTTPStatus.GONE


async def test_a_token_says_who_it_is(ward: Ward) -> None:
    who: dict[str, Any] = (await ward.viewer.get("/session")).json()
    assert (who["name"], who["role"], who["csrf_token"]) == ("the-viewer", "viewer", None)
