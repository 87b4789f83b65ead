"""People come in by password or by link, and go; programs by token."""

import asyncio
from collections import Counter
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher, extract_parameters

from service.api import passwords
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


CHANGE = "/api/v1/session/password"
NEW = "another horse and battery"


def test_who_has_no_password_is_compared_with_a_hash_that_costs_as_much_as_anybodys() -> None:
    assert extract_parameters(passwords._NOBODYS) == extract_parameters(passwords._HASHER.hash("somebody's"))
    assert passwords._NOBODYS.startswith("$argon2id$")


async def test_a_ward_behind_one_address_logs_in_as_often_as_it_likes(weber: Ward) -> None:
    assert (await log_in(weber, name="nobody")).status_code == 401
    for _ in range(3):
        weber.clock.advance(1)
        assert (await log_in(weber)).status_code == 200
    assert len(await weber.rows("SELECT FROM login_failure")) == 2, "of the one guess: a name and an address"


async def test_many_guesses_at_once_are_no_way_around_the_wait(weber: Ward) -> None:
    answers = await asyncio.gather(*(log_in(weber, password=f"guess {number}") for number in range(60)))
    told = Counter(answer.status_code for answer in answers)
    assert told.keys() == {401, 429}, "those that came after the first few were not even compared"


async def test_somebody_changes_their_own_password_and_is_logged_out_everywhere_else(weber: Ward) -> None:
    async with httpx.AsyncClient(base_url=weber.url, timeout=60) as elsewhere:
        given = {"name": "dr-weber", "password": PASSWORD}
        assert (await elsewhere.post("/api/v1/session", json=given)).status_code == 200
        headers = await entered(weber)
        for given, field in (
            ({"old": "wrong", "new": NEW}, "old"),
            ({"new": NEW}, "old"),
            ({"old": PASSWORD, "new": "short"}, "new"),
            ({"old": PASSWORD, "new": "dr-weber dr-weber"}, "new"),
            ({"old": PASSWORD, "new": "aaaaaaaaaaaaaaaa"}, "new"),
            ({"old": PASSWORD, "new": PASSWORD}, "new"),
        ):
            answer = problem(await weber.client.put(CHANGE, json=given, headers=headers), 422)
            assert answer["errors"][0]["field"] == field
        given = {"old": PASSWORD, "new": NEW}
        problem(await weber.client.put(CHANGE, json=given), 403)  # no page of ours asks
        assert (await elsewhere.get("/api/v1/session")).status_code == 200
        assert (await weber.client.put(CHANGE, json=given, headers=headers)).status_code == 204
        assert (await weber.client.get("/api/v1/session")).status_code == 200
        problem(await elsewhere.get("/api/v1/session"), 401)
    problem(await log_in(weber), 401)
    assert (await log_in(weber, password=NEW)).status_code == 200
    written = await weber.rows("SELECT actor, subject FROM audit WHERE action = 'password_changed'")
    assert [tuple(row) for row in written] == [("dr-weber", "dr-weber")]


async def test_whoever_guesses_the_old_password_in_a_session_of_somebody_is_slowed_down(weber: Ward) -> None:
    headers = await entered(weber)
    for _ in range(5):
        problem(await weber.client.put(CHANGE, json={"old": "guessed", "new": NEW}, headers=headers), 422)
    refused = await weber.client.put(CHANGE, json={"old": PASSWORD, "new": NEW}, headers=headers)
    problem(refused, 429)
    assert 0 < int(refused.headers["retry-after"]) <= 30
    problem(await log_in(weber), 429)
    weber.clock.advance(31)
    assert (await weber.client.put(CHANGE, json={"old": PASSWORD, "new": NEW}, headers=headers)).status_code == 204


async def test_whoever_came_in_by_a_link_sets_a_first_password_and_a_token_has_none(ward: Ward) -> None:
    assert (await ward.administrator.post("/accounts", json={"name": "nurse", "role": "viewer"})).status_code == 201
    link = (await ward.administrator.post("/accounts/nurse/link")).json()["path"]
    await ward.client.get(link)
    headers = {"X-CSRF-Token": (await ward.client.get("/api/v1/session")).json()["csrf_token"]}
    assert (await ward.client.put(CHANGE, json={"new": NEW}, headers=headers)).status_code == 204
    again = problem(await ward.client.put(CHANGE, json={"new": PASSWORD}, headers=headers), 422)
    assert again["errors"][0]["field"] == "old"
    assert (await log_in(ward, "nurse", NEW)).status_code == 200
    refused = await ward.administrator.put("/session/password", json={"old": PASSWORD, "new": NEW})
    assert "log in" in problem(refused, 403)["detail"]


async def test_of_two_who_set_a_password_at_once_one_is_told(weber: Ward) -> None:
    headers = await entered(weber)
    kept = PasswordHasher(time_cost=1).hash(NEW)
    owner = await people.credentials(weber.database, "dr-weber")
    assert owner is not None
    assert await people.set_password(weber.database, "dr-weber", kept, "test")
    assert not await people.change_password(weber.database, owner, kept, headers["X-CSRF-Token"])


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
