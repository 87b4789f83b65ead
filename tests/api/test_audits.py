"""The audit over HTTP."""

from tests.api.ward import Ward, enter, problem


async def test_administrators_see_who_did_what_newest_first(ward: Ward) -> None:
    await enter(ward, "p1", "p2", "p3")
    await ward.viewer.get("/pumps/p1/export")
    query: dict[str, object] = {"limit": 2, "actor": "the-administrator"}
    first = (await ward.administrator.get("/audit", params=query)).json()
    rest = (await ward.administrator.get("/audit", params=query | {"cursor": first["next_cursor"]})).json()
    assert [entry["subject"] for entry in first["items"] + rest["items"]] == ["p3", "p2", "p1"]
    assert first["items"][0]["detail"]["after"]["site"] == "north"
    assert len(first["items"][0]["hash"]) == 64

    async def subjects(**query: str) -> list[str]:
        page = (await ward.administrator.get("/audit", params=query)).json()
        return [f"{entry['actor']} {entry['action']}" for entry in page["items"]]

    assert await subjects(subject="p1") == ["the-viewer pump_exported", "the-administrator pump_written"]
    assert await subjects(action="pump_exported", subject="p1") == ["the-viewer pump_exported"]
    assert await subjects(to="2020-01-01T00:00:00Z") == []
    problem(await ward.clinician.get("/audit"), 403)
    same = {"from": "2026-11-22T20:00:00Z", "to": "2026-11-22T20:00:00Z"}
    problem(await ward.administrator.get("/audit", params=same), 422)
