"""What the charts draw: gaps as gaps, the band, the cone."""

from datetime import UTC, datetime, timedelta

import pytest

from service.web.charts import TOLERANCE, battery, evidence, flow, line_with_gaps, reservoir

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = [NOON + timedelta(minutes=minute) for minute in (0, 1, 60)]
GAPS = [{"from_at": AT[1], "to_at": AT[2]}]
COLUMNS = {
    "at": AT,
    **{f"{name}_{what}": [0.5, 0.5, 0.4] for name in ("program_ml_d", "battery_v") for what in ("min", "max", "mean")},
    **{f"flow_ml_d_{what}": [0.49, 0.51, 0.0] for what in ("min", "max", "mean")},
    "reservoir_ml_mean": [18.0, 17.9, 17.5],
}


def test_a_gap_is_a_hole_in_the_line() -> None:
    points = line_with_gaps(AT, [1.0, 2.0, 3.0], GAPS)
    assert [value for _, value in points] == [1.0, 2.0, None, 3.0]
    assert points == sorted(points, key=lambda point: datetime.fromisoformat(point[0]))


def test_the_band_lies_around_the_program_and_has_its_holes() -> None:
    drawn = {line["name"]: line for line in flow(COLUMNS, GAPS, [(AT[1], "refill")], [])["series"]}
    lower = [value for _, value in drawn["Tolerated from"]["data"]]
    width = [value for _, value in drawn["Tolerated"]["data"]]
    assert lower[0] == pytest.approx(0.5 * (1 - TOLERANCE))
    assert lower[0] + width[0] == pytest.approx(0.5 * (1 + TOLERANCE))
    assert lower[2] is None
    assert width[2] is None
    assert drawn["Flow"]["markLine"]["data"] == [{"xAxis": AT[1].isoformat(), "name": "refill"}]


def test_an_alert_is_an_area_that_says_its_priority() -> None:
    (line,) = [s for s in flow(COLUMNS, [], [], [(AT[0], AT[1], "high", "Stall")])["series"] if s["name"] == "Flow"]
    ((began, ended),) = line["markArea"]["data"]
    assert began["name"] == "high: Stall"
    assert (began["xAxis"], ended["xAxis"]) == (AT[0].isoformat(), AT[1].isoformat())


def test_the_cone_begins_at_the_last_level_and_leaves_out_what_is_not_known() -> None:
    drawn = reservoir(
        COLUMNS, GAPS, {"Empty at the earliest": 3.0, "Empty as programmed": None, "Empty at the latest": 5}
    )
    assert [line["name"] for line in drawn["series"]] == ["Reservoir", "Empty at the earliest", "Empty at the latest"]
    assert drawn["series"][1]["data"] == [(AT[-1].isoformat(), 17.5), ((AT[-1] + timedelta(days=3)).isoformat(), 0.0)]


def test_nothing_is_drawn_of_nothing() -> None:
    empty = {name: [] for name in COLUMNS}
    assert reservoir(empty, [], {"Empty at the earliest": 3.0})["series"][0]["data"] == []
    assert battery(empty, [])["series"][0]["data"] == []
    assert len(evidence([], [], [])["series"]) == 2
