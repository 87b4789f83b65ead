"""Paging for practice: as a real alert would, saying in every form that it is a drill, and ending by itself."""

from datetime import timedelta
from typing import Any

import msgspec

from service.core.endpoint import Format
from service.core.formats import render
from service.postgres import drills, escalations
from tests.api.ward import Ward, problem
from tests.commands.here import ran_beside

PHONE = {"name": "phone", "url": "https://clinic.example/hook"}


async def bodies(ward: Ward) -> dict[str, dict[str, Any]]:
    rows = await ward.rows("SELECT kind, body::text AS body FROM notification WHERE alert_id IS NOT NULL")
    return {row["kind"]: msgspec.json.decode(row["body"]) for row in rows}


async def delivered(ward: Ward) -> None:
    await ward.rows("UPDATE notification SET state = 'delivered', attempts = 1 WHERE state = 'pending'")


async def test_a_drill_asks_until_it_is_answered_and_every_word_says_that_it_is_one(ward: Ward) -> None:
    await ward.administrator.post("/endpoints", json=PHONE)
    begun = await ward.administrator.post("/drills", json={"priority": "high", "minutes": 30, "note": "night shift"})
    assert begun.status_code == 201, begun.text
    drill = begun.json()
    assert (drill["subject"], drill["by"], drill["priority"]) == ("service:drill", "the-administrator", "high")
    assert "under way" in problem(await ward.administrator.post("/drills", json={}), 409)["detail"]
    await delivered(ward)
    ward.clock.advance(301)
    await escalations.look_once(ward.database, ward.alert_store, ward.clock())
    await delivered(ward)
    answered = await ward.clinician.post(f"/alerts/{drill['id']}/acknowledge")
    assert answered.status_code == 200
    assert [each["acknowledged_by"] for each in (await ward.viewer.get("/drills")).json()["items"]] == ["the-clinician"]
    await delivered(ward)
    ward.clock.advance(timedelta(minutes=25).total_seconds())
    await drills.look_once(ward.database, ward.alert_store, ward.clock())
    assert (await ward.viewer.get(f"/alerts/{drill['id']}")).json()["state"] == "resolved"

    said = await bodies(ward)
    assert set(said) == {"activated", "repeated", "acknowledged", "resolved"}
    for kind, body in said.items():
        assert body["data"]["drill"] is True
        assert body["data"]["what"].startswith("DRILL, for practice only. ")
        wordless = kind in {"acknowledged", "resolved"}  # to PagerDuty: only whose incident it was
        for form in (Format.ALERTMANAGER, Format.SLACK, *([] if wordless else [Format.PAGERDUTY])):
            assert b"DRILL" in render("n1", body, form, None, "K" * 32)
        assert b"DRILL" in render("n1", body, "", '{"text": "{{title}}", "drill": "{{drill}}"}', None)
    assert (await ward.viewer.get("/burden")).json()["alerts"] == 0, "it is no alert"
    audited = [row["action"] for row in await ward.rows("SELECT action FROM audit WHERE action LIKE 'drill%'")]
    assert audited == ["drill_begun"]


async def test_a_drill_of_a_site_is_ended_before_its_time_and_bad_ones_are_refused(
    ward: Ward, postgres_url: str
) -> None:
    await ward.rows("INSERT INTO site VALUES ('north', 'north', 'Europe/Zurich')")
    url = ("--database-url", postgres_url)
    begun = await ran_beside("drill", "begin", "--site", "north", "--priority", "low", "--minutes", "5", *url)
    assert begun.code == 0, begun.err
    drill = begun.out.strip()
    assert "site:north" in (await ran_beside("drill", "list", *url)).out
    assert (await ran_beside("drill", "end", drill, *url)).out == f"ended {drill}\n"
    assert (await ran_beside("drill", "end", drill, *url)).code == 1
    assert problem(await ward.administrator.delete(f"/drills/{drill}"), 404)
    assert problem(await ward.clinician.post("/drills", json={}), 403)
    for wrong, field in (({"site": "south"}, "site"), ({"minutes": 0}, "minutes"), ({"minutes": 600}, "minutes")):
        answer = problem(await ward.administrator.post("/drills", json=wrong), 422)
        assert answer["errors"][0]["field"] == field
    assert (await ran_beside("drill", "begin", "--minutes", "-1", *url)).code == 1
