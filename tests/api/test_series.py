"""Charts over HTTP."""

from service.core.reading import position_of
from tests.api.ward import NOW, Ward, enter, problem


async def test_a_chart_has_the_points_that_were_asked_for_with_its_gaps_and_its_spikes(ward: Ward) -> None:
    key = (await enter(ward, "p1", "p2"))["p1"]
    await ward.rows(
        "INSERT INTO reading SELECT $1::timestamptz - n * interval '1 minute', $2::bigint - n, $1, $3, 0.5,"
        " CASE n WHEN 77 THEN 3.25 ELSE 0.4971 END, 17.931, 2.914,"
        " CASE WHEN n < 20 THEN 2 WHEN n = 100 THEN 5 ELSE 0 END"
        " FROM generate_series(1, 600) AS n WHERE n NOT BETWEEN 200 AND 260",
        *(NOW, position_of(7, 5000), key),
    )
    raw = (await ward.viewer.get("/pumps/p1/series", params={"from": "2026-11-22T20:00:00Z"})).json()
    assert (raw["resolution"], raw["point_s"], raw["gaps"]) == ("raw", 0.0, [])
    assert {len(column) for column in raw["columns"].values()} == {30}
    assert raw["columns"]["at"][0] == "2026-11-22T20:00:00Z"
    assert raw["columns"]["flow_ml_d_mean"][0] == 0.4971
    assert raw["columns"]["mode_last"][-1] == "stopped"

    span = {"from": "2026-11-22T10:30:00Z", "to": "2026-11-22T20:30:00Z", "points": 40}
    binned = (await ward.viewer.get("/pumps/p1/series", params=span)).json()
    columns = binned["columns"]
    assert (binned["resolution"], binned["point_s"]) == ("raw", 900.0)
    assert sum(columns["readings"]) == 539
    assert max(columns["flow_ml_d_max"]) == 3.25
    assert columns["mode_last"] == ["running"] * (len(columns["at"]) - 2) + ["stopped"] * 2
    assert binned["gaps"] == [{"from_at": "2026-11-22T16:09:00Z", "to_at": "2026-11-22T17:11:00Z"}]

    hourly = (await ward.viewer.get("/pumps/p1/series", params=span | {"resolution": "hour"})).json()
    assert (hourly["resolution"], hourly["point_s"]) == ("hour", 3600.0)
    assert hourly["columns"]["at"][0] == "2026-11-22T10:00:00Z"
    assert sum(hourly["columns"]["readings"]) == 539

    empty = (await ward.viewer.get("/pumps/p2/series")).json()
    assert (empty["columns"]["at"], empty["gaps"]) == ([], [])


async def test_what_cannot_be_drawn_is_refused_with_the_field(ward: Ward) -> None:
    await enter(ward, "p1")
    same = {"from": "2026-11-22T20:00:00Z", "to": "2026-11-22T20:00:00Z"}
    for query, field in (
        (same, "to"),
        ({"from": "1970-01-01T00:00:00Z", "to": "2190-01-01T00:00:00Z"}, "from"),
        ({"points": "0"}, "points"),
        ({"points": "10001"}, "points"),
        ({"resolution": "week"}, "resolution"),
        ({"from": "2026-11-22"}, "from"),
    ):
        found = problem(await ward.viewer.get("/pumps/p1/series", params=query), 422)
        assert [error["field"] for error in found["errors"]] == [field]
    problem(await ward.viewer.get("/pumps/p2/series"), 404)
