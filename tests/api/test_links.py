"""Acknowledging from outside: a link that shows with GET, does with POST, and works once."""

import re
from datetime import datetime, timedelta
from uuid import UUID

import httpx
import pytest

from service.core.change import Condition
from service.core.link import Link, token_of
from tests.api.test_endpoints import a_clinic
from tests.api.ward import Ward, enter, raise_alert, turn
from tests.keys import VAULT


async def alerted(ward: Ward) -> tuple[str, str]:
    """An alert, and the link's path that the clinic was sent."""
    keys = await enter(ward, "p1")
    await a_clinic(ward)
    alert_id = await raise_alert(ward, turn(keys["p1"], Condition.STALL))
    return alert_id, f"/a/{await a_token(ward, alert_id)}"


async def a_token(ward: Ward, alert_id: str, expires_at: datetime | None = None) -> str:
    [endpoint] = await ward.rows("SELECT id FROM endpoint")
    expires_at = expires_at or ward.clock.now + timedelta(hours=24)
    return token_of(VAULT.link_keys[0], Link(UUID(alert_id), endpoint["id"], 1, expires_at))


def heading(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return re.findall("<h1>(.*)</h1>", answer.text)[0]


async def acknowledged_by(ward: Ward) -> list[str | None]:
    return [row["acknowledged_by"] for row in await ward.rows("SELECT acknowledged_by FROM alert")]


async def test_looking_at_a_link_says_what_it_does_and_does_nothing(ward: Ward) -> None:
    _, path = await alerted(ward)
    for _ in range(3):  # a scanner, a preview, and the person
        shown = await ward.client.get(path)
        assert (shown.status_code, heading(shown)) == (200, "Acknowledge this alert?")
    assert "stall, pump p1, north (high priority)" in shown.text
    assert "clinic has acknowledged it" in shown.text
    assert '<form method="post"><button type="submit">Acknowledge</button></form>' in shown.text
    assert '<html lang="en">' in shown.text
    assert "<script" not in shown.text
    assert (shown.headers["referrer-policy"], shown.headers["cache-control"]) == ("no-referrer", "no-store")
    assert await acknowledged_by(ward) == [None]
    assert await ward.rows("SELECT FROM used_link") == []


async def test_pressing_acknowledges_once_in_the_name_of_the_endpoint(ward: Ward) -> None:
    alert_id, path = await alerted(ward)
    done = await ward.client.post(path)
    assert (done.status_code, heading(done)) == (200, "Acknowledged")
    assert await acknowledged_by(ward) == ["link:clinic"]
    history = (await ward.viewer.get(f"/alerts/{alert_id}")).json()["history"]
    assert [(entry["event"], entry["actor"]) for entry in history][-1] == ("acknowledged", "link:clinic")
    [audited] = await ward.rows("SELECT action, subject FROM audit WHERE actor = 'link:clinic'")
    assert tuple(audited) == ("alert_acknowledged", alert_id)
    for again in (await ward.client.post(path), await ward.client.get(path)):
        assert (again.status_code, heading(again)) == (410, "This link was used already")
    assert len((await ward.viewer.get(f"/alerts/{alert_id}")).json()["history"]) == len(history)


async def test_what_somebody_else_has_acknowledged_is_said_and_not_done_again(ward: Ward) -> None:
    alert_id, path = await alerted(ward)
    assert (await ward.clinician.post(f"/alerts/{alert_id}/acknowledge")).is_success
    for answer in (await ward.client.get(path), await ward.client.post(path)):
        assert (answer.status_code, heading(answer)) == (200, "Already acknowledged")
        assert "the-clinician acknowledged it" in answer.text
    assert await acknowledged_by(ward) == ["the-clinician"]


async def test_a_link_ends_after_its_day_with_its_endpoint_and_with_its_alert(ward: Ward) -> None:
    alert_id, path = await alerted(ward)
    old = await ward.client.post(f"/a/{await a_token(ward, alert_id, ward.clock.now)}")
    assert (old.status_code, heading(old)) == (410, "This link is too old")
    await ward.rows("UPDATE endpoint SET enabled = false")
    assert (await ward.client.post(path)).status_code == 404
    await ward.rows("UPDATE endpoint SET enabled = true")
    await ward.rows("UPDATE alert SET state = 'resolved'")
    assert heading(await ward.client.post(path)) == "This alert is over"
    assert await acknowledged_by(ward) == [None]


def with_another(character_at: int, token: str) -> str:
    other = "B" if token[character_at] == "A" else "A"
    return f"{token[:character_at]}{other}{token[character_at + 1 :]}"


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-3], lambda t: with_another(0, t), lambda t: with_another(40, t), lambda _: "x"]
)
async def test_a_link_that_was_changed_is_none_of_ours(ward: Ward, spoil) -> None:  # noqa: ANN001 - a lambda of texts
    alert_id, _ = await alerted(ward)
    answer = await ward.client.post(f"/a/{spoil(await a_token(ward, alert_id))}")
    assert (answer.status_code, heading(answer)) == (404, "This is not a link of ours")
    assert await acknowledged_by(ward) == [None]


async def test_a_link_of_a_notification_that_was_never_sent_is_none_of_ours(ward: Ward) -> None:
    alert_id, _ = await alerted(ward)
    [endpoint] = await ward.rows("SELECT id FROM endpoint")
    link = Link(UUID(alert_id), endpoint["id"], 9, ward.clock.now + timedelta(hours=1))
    assert (await ward.client.post(f"/a/{token_of(VAULT.link_keys[0], link)}")).status_code == 404


async def test_whoever_asks_too_often_has_to_wait_a_minute(ward: Ward) -> None:
    answers = [await ward.client.get("/a/guess") for _ in range(31)]
    assert [answer.status_code for answer in answers] == [404] * 30 + [429]
    assert answers[-1].headers["retry-after"] == "60"
    ward.clock.advance(60)
    assert (await ward.client.get("/a/guess")).status_code == 404


async def test_a_page_escapes_what_others_have_named(ward: Ward) -> None:
    _, path = await alerted(ward)
    await ward.rows("UPDATE endpoint SET name = '<b>clinic</b>'")
    shown = await ward.client.get(path)
    assert "<b>" not in shown.text
    assert "&lt;b&gt;clinic" in shown.text
