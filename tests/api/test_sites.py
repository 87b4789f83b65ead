"""Sites over HTTP, and how long each keeps its readings."""

from tests.api.ward import Ward, enter, problem

NORTH = {"name": "North ward", "time_zone": "Europe/Zurich", "retention_d": 30}


async def test_a_site_is_entered_changed_and_listed_with_its_retention(ward: Ward) -> None:
    await enter(ward, "p1", "p2", site="a")
    made = await ward.administrator.put("/sites/north", json=NORTH, headers={"If-Match": '"0"'})
    assert (made.status_code, made.headers["etag"]) == (200, '"1"')
    assert made.json() == {**NORTH, "site": "north", "retention_in_force_d": 30, "pumps": 0, "version": 1}
    same = await ward.administrator.put("/sites/north", json=NORTH)
    assert same.headers["etag"] == '"1"'
    changed = await ward.administrator.put("/sites/north", json=NORTH | {"retention_d": None})
    assert (changed.headers["etag"], changed.json()["retention_in_force_d"]) == ('"2"', 400)
    first = (await ward.viewer.get("/sites", params={"limit": 1})).json()
    rest = (await ward.viewer.get("/sites", params={"cursor": first["next_cursor"]})).json()
    assert [(site["site"], site["pumps"]) for site in first["items"] + rest["items"]] == [("a", 2), ("north", 0)]
    said = await ward.rows("SELECT action, subject, detail->'after'->>'retention_d' AS d FROM audit ORDER BY id DESC")
    assert [tuple(row) for row in said[:3]] == [
        ("site_written", "north", None),
        ("site_written", "north", "30"),
        ("site_written", "north", "30"),
    ]


async def test_what_is_wrong_or_overtaken_changes_nothing(ward: Ward) -> None:
    await ward.administrator.put("/sites/north", json=NORTH)
    problem(await ward.administrator.put("/sites/north", json=NORTH, headers={"If-Match": '"7"'}), 412)
    problem(await ward.administrator.put("/sites/south", json=NORTH, headers={"If-Match": '"7"'}), 412)
    for wrong, field in (
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"retention_d": 7}, "retention_d"),
        ({"name": "a\x00"}, "name"),
        ({"size": 1}, "size"),
    ):
        found = problem(await ward.administrator.put("/sites/north", json=NORTH | wrong), 422)
        assert [error["field"] for error in found["errors"]] == [field]
    problem(await ward.clinician.put("/sites/north", json=NORTH), 403)
    problem(await ward.viewer.get("/sites/south"), 404)
    assert (await ward.viewer.get("/sites/north")).json()["version"] == 1
