"""Imports of the registry over HTTP, and how one is undone."""

from typing import Any

from service.core.registry import COLUMNS
from tests.api.ward import ENTRY, Ward, enter, hear, problem

HEADER = ",".join(COLUMNS)
ROW = "{},{},Europe/Zurich,rotor-20,rotor,computed,{},baclofen,baclofen,500,60,2026-12-31,true,false,300.3,2023-05-17"


def file(*rows: tuple[str, str, float], **more: Any) -> dict[str, Any]:
    return {"name": "fleet.csv", "csv": "\n".join([HEADER, *(ROW.format(*row) for row in rows)]), **more}


async def entries(ward: Ward) -> dict[str, tuple[str | None, float, bool]]:
    listed = (await ward.viewer.get("/pumps")).json()["items"]
    return {pump["pump_id"]: (pump["site"], pump["capacity_ml"], pump["registered"]) for pump in listed}


async def test_an_import_is_made_and_undone_as_a_whole(ward: Ward) -> None:
    keys = await enter(ward, "p1", "p2")
    before = await entries(ward)
    given = file(("p1", "south", 40.0), ("p2", "north", 20.3), ("p3", "south", 40.0), ("p4", "south", 20.0))
    rehearsed = await ward.administrator.post("/registry/imports", json={**given, "dry_run": True})
    assert (rehearsed.status_code, rehearsed.json()["id"]) == (200, None)
    assert await entries(ward) == before
    made = await ward.administrator.post("/registry/imports", json=given)
    assert made.status_code == 201, made.text
    assert [made.json()[name] for name in ("created", "changed", "unchanged")] == [2, 2, 0]
    keys = {row["pump_id"]: row["pump"] for row in await ward.rows("SELECT pump_id, pump FROM pump")}
    await hear(ward, keys["p4"])  # what has been heard cannot be unheard
    number = made.json()["id"]
    undone = await ward.administrator.post(f"/registry/imports/{number}/undo")
    assert undone.json()["undone_by"] == "the-administrator", undone.text
    assert await entries(ward) == {**before, "p4": (None, 20.0, False)}
    said = problem(await ward.administrator.post(f"/registry/imports/{number}/undo"), 409)
    assert "the-administrator has undone it" in str(said["detail"])
    listed = (await ward.administrator.get("/registry/imports")).json()["items"]
    assert [(row["id"], row["name"], row["undone_by"]) for row in listed] == [
        (number, "fleet.csv", "the-administrator")
    ]
    done = await ward.rows("SELECT action FROM audit WHERE actor = 'the-administrator' ORDER BY id DESC LIMIT 2")
    assert [row["action"] for row in done] == ["import_undone", "pumps_imported"]


async def test_a_pump_that_is_gone_with_its_import_is_enrolled_like_any_other_if_it_is_heard(ward: Ward) -> None:
    made = (await ward.administrator.post("/registry/imports", json=file(("p9", "north", 20.0)))).json()
    epoch = await ward.rows("INSERT INTO shard (shard, epoch) VALUES (0, 3) RETURNING epoch")
    await ward.administrator.post(f"/registry/imports/{made['id']}/undo")
    assert (await ward.viewer.get("/pumps/p9")).status_code == 404
    fenced = await ward.rows("SELECT epoch FROM shard WHERE shard = 0")
    assert fenced[0]["epoch"] > epoch[0]["epoch"]  # whoever holds the pump in memory begins anew
    again = await ward.administrator.post("/registry/imports", json=file(("p9", "north", 20.0)))
    assert again.json()["created"] == 1


async def test_what_was_changed_since_is_not_undone(ward: Ward) -> None:
    given = file(("p1", "south", 40.0), ("p2", "south", 40.0))
    made = (await ward.administrator.post("/registry/imports", json=given)).json()
    await enter(ward, "p2")
    before = await entries(ward)
    said = problem(await ward.administrator.post(f"/registry/imports/{made['id']}/undo"), 409)
    assert said["detail"] == "1 of its entries were changed since: p2"
    assert await entries(ward) == before
    problem(await ward.administrator.post("/registry/imports/999/undo"), 404)
    problem(await ward.clinician.post(f"/registry/imports/{made['id']}/undo"), 403)


async def test_every_mistake_is_named_with_its_line_and_nothing_is_changed(ward: Ward) -> None:
    given = file(("p1", "north", 20.0), ("p 2", "north", -1.0))
    found = problem(await ward.administrator.post("/registry/imports", json=given), 422)
    assert [error["field"] for error in found["errors"]] == ["csv.3", "csv.3"]
    assert await entries(ward) == {}
    unchanged = {"csv": "\n".join([HEADER, ROW.format("p1", "north", ENTRY["capacity_ml"])])}
    assert (await ward.administrator.post("/registry/imports", json=unchanged)).status_code == 201
    assert (await ward.administrator.post("/registry/imports", json=unchanged)).json()["id"] is None
