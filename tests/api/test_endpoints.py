"""Webhook endpoints over HTTP."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.vault import SEALED
from tests.api.ward import Ward, problem, running
from tests.keys import VAULT

CLINIC: dict[str, Any] = {
    "name": "clinic",
    "url": "https://clinic.example/hook?key=of-the-clinic",
    "accepts_simulated": True,
}


KEY = "R0UT1NG0" * 4


async def a_clinic(ward: Ward, **given: Any) -> str:
    """Its address under the API."""
    made = await ward.administrator.post("/endpoints", json=CLINIC | given)
    assert made.status_code == 201, made.text
    return f"/endpoints/{made.json()['id']}"


async def test_a_secret_is_shown_once_kept_sealed_and_never_shown_again(ward: Ward) -> None:
    made = await ward.administrator.post("/endpoints", json=CLINIC)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    [stored] = [row["secret"] for row in await ward.rows("SELECT secret FROM endpoint")]
    assert stored.startswith(SEALED)
    assert VAULT.open(stored) == secret

    listed = await ward.administrator.get("/endpoints")
    [shown] = listed.json()["items"]
    assert {name: shown[name] for name in CLINIC} == CLINIC
    assert (shown["id"], shown["enabled"], shown["circuit"]) == (made.json()["id"], True, "closed")
    assert secret not in listed.text

    [audited] = await ward.rows("SELECT actor, subject, detail::text FROM audit WHERE action = 'endpoint_added'")
    assert tuple(audited)[:2] == ("the-administrator", made.json()["id"])
    assert json.loads(audited["detail"]) == {"name": "clinic", "accepts_simulated": True}


async def test_a_second_endpoint_of_a_name_is_refused(ward: Ward) -> None:
    assert (await ward.administrator.post("/endpoints", json=CLINIC)).status_code == 201
    assert "clinic" in problem(await ward.administrator.post("/endpoints", json=CLINIC), 409)["detail"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://clinic.example"},
        {"url": "https://user:x@clinic.example"},
        {"url": "https://169.254.169.254/"},
        {"url": "x"},
        {"name": "a\nb"},
        {"secret": "mine"},
        {"name": 3},
        {"format": "fax"},
        {"template": '{"a": {{what}}}'},
        {"template": "[1]"},
        {"priorities": ["urgent"]},
        {"answer_within_s": 90},
    ],
)
async def test_what_cannot_work_is_refused_with_the_field_and_the_reason(ward: Ward, wrong: dict[str, Any]) -> None:
    found = problem(await ward.administrator.post("/endpoints", json=CLINIC | wrong), 422)
    assert [error["field"] for error in found["errors"]] == list(wrong)
    assert await ward.rows("SELECT FROM endpoint") == []


async def test_without_a_key_no_secret_is_made_and_the_answer_says_what_to_do(
    postgres_url: str, ward: Ward, tmp_path: Path
) -> None:
    async with running(postgres_url, secret_key="", secret_key_file=tmp_path / "none") as keyless:
        answer = await keyless.client.post(
            "/api/v1/endpoints", json=CLINIC, headers={"Authorization": ward.administrator.headers["authorization"]}
        )
    assert "PUMPWATCH_SECRET_KEY" in str(problem(answer, 503)["detail"])
    assert await ward.rows("SELECT FROM endpoint") == []


async def test_an_endpoint_is_changed_in_part_unless_somebody_was_faster(ward: Ward) -> None:
    at = await a_clinic(ward)
    version = (await ward.administrator.get(at)).headers["etag"]
    given = {"priorities": ["high"], "answer_within_s": 8, "template": '{"text": "{{title}}"}'}
    changed = await ward.administrator.patch(at, json=given, headers={"If-Match": version})
    assert changed.status_code == 200, changed.text
    assert {name: changed.json()[name] for name in given} == given
    assert changed.json()["name"] == "clinic"
    problem(await ward.administrator.patch(at, json={"name": "other"}, headers={"If-Match": version}), 412)
    assert (await ward.administrator.patch(at, json={"template": None})).json()["template"] is None
    for wrong in ({"format": "pagerduty"}, {"url": "http://clinic.example"}, {"name": None}):
        problem(await ward.administrator.patch(at, json=wrong), 422)
    pager = await ward.administrator.patch(at, json={"format": "pagerduty", "routing_key": KEY})
    assert (pager.json()["format"], pager.json()["has_routing_key"]) == ("pagerduty", True)
    assert KEY not in pager.text
    assert not [row for row in await ward.rows("SELECT endpoint::text AS all FROM endpoint") if KEY in row["all"]]


async def test_while_a_secret_is_rotated_the_old_one_signs_too(ward: Ward) -> None:
    at = await a_clinic(ward)
    [before] = await ward.rows("SELECT secret FROM endpoint")
    answer = await ward.administrator.post(f"{at}/rotate", json={"both_for_s": 3600})
    assert answer.headers["cache-control"] == "no-store"
    [after] = await ward.rows("SELECT secret FROM endpoint")
    assert VAULT.open(after["secret"]) == answer.json()["secret"] != VAULT.open(before["secret"])
    [former] = await ward.rows("SELECT secret, valid_until - now() < interval '1 hour' AS soon FROM former_secret")
    assert tuple(former) == (before["secret"], True)
    assert len((await ward.administrator.get(at)).json()["former_secrets_until"]) == 1
    assert (await ward.administrator.post(f"{at}/rotate")).status_code == 200, "a day, if nothing is said"


async def test_an_endpoint_is_disabled_enabled_and_removed_once_nothing_is_pending(ward: Ward) -> None:
    at = await a_clinic(ward)
    fired = await ward.administrator.post(f"{at}/test")
    assert fired.status_code == 202
    [pending] = await ward.rows(
        "SELECT id, kind, body->>'type' AS type, body->'data'->>'test' AS test FROM notification"
    )
    assert tuple(pending) == (fired.json()["delivery_id"], "test", "endpoint.test", "true")
    problem(await ward.administrator.delete(at), 409)
    problem(await ward.administrator.post("/deliveries/give-up", params={"endpoint": "nobody"}), 422)
    given_up = await ward.administrator.post("/deliveries/give-up", params={"endpoint": "clinic"})
    assert given_up.json() == {"given_up": 1}
    assert (await ward.administrator.post("/deliveries/redrive")).json() == {"redriven": 1}
    disabled = await ward.administrator.post(f"{at}/disable")
    assert (disabled.json()["enabled"], disabled.json()["disabled_reason"]) == (False, "by the-administrator")
    problem(await ward.administrator.post(f"{at}/disable"), 409)
    for what in ("enable", "rotate"):
        problem(await ward.administrator.post(f"{at}/{what}", headers={"If-Match": '"77"'}), 412)
    problem(await ward.administrator.post(f"{at}/test"), 409)
    assert (await ward.administrator.post(f"{at}/enable")).json()["enabled"]
    await ward.rows("UPDATE notification SET state = 'delivered'")
    assert (await ward.administrator.delete(at)).status_code == 200
    problem(await ward.administrator.get(at), 404)
    [left] = await ward.rows("SELECT name, url, secret FROM endpoint")
    assert tuple(left) == ("clinic", "", "")
    await a_clinic(ward)


async def test_a_preview_shows_each_form_and_refuses_what_does_not_render(ward: Ward) -> None:
    for form, key in (
        ("pumpwatch", "data"),
        ("alertmanager", "groupKey"),
        ("slack", "blocks"),
        ("pagerduty", "payload"),
    ):
        shown = await ward.administrator.post("/endpoints/preview", json={"format": form})
        assert key in shown.json()["body"], form
    own = await ward.administrator.post("/endpoints/preview", json={"template": '{"text": "{{title}}: {{do_now}}"}'})
    assert own.json()["body"]["text"].startswith("[simulated] HIGH: stall, p000017 (north): Reach the patient")
    wrong = problem(await ward.administrator.post("/endpoints/preview", json={"template": '{"text": {{title}}'}), 422)
    assert "it is not JSON" in str(wrong["detail"])


async def test_only_administrators_see_or_change_endpoints(ward: Ward) -> None:
    at = await a_clinic(ward)
    for client in (ward.viewer, ward.clinician):
        problem(await client.get("/endpoints"), 403)
        problem(await client.patch(at, json={}), 403)
        problem(await client.post(f"{at}/rotate"), 403)
        problem(await client.delete(at), 403)
