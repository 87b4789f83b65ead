"""What the charts draw: gaps as gaps, the band, the cone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.web.charts import Band, Marked, battery, flow, lanes_px, line_with_gaps, reservoir

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


def values(line: dict[str, Any]) -> list[float | None]:
    points = (point["value"] if isinstance(point, dict) else point for point in line["data"])
    return [value for _, value in points]


def drawn(alerts: Sequence[Marked] = (), events: Sequence[tuple[datetime, str]] = ()) -> dict[str, Any]:
    return flow(COLUMNS, GAPS, events, alerts, Band(0.08, 0.2225), (AT[0], AT[2]))


def named(chart: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {line["name"]: line for line in chart["series"]}


def test_the_band_is_what_the_rules_tolerate_around_the_program_and_has_its_holes() -> None:
    lines = named(drawn(events=[(AT[1], "refill")]))
    lower, width = values(lines["Tolerated from"]), values(lines["Tolerated"])
    assert lower[0] == pytest.approx(0.5 * 0.92)
    assert lower[0] + width[0] == pytest.approx(0.5 * 1.2225)
    assert lower[2] is None
    assert width[2] is None
    assert lines["Flow"]["markLine"]["data"] == [{"xAxis": AT[1].isoformat(), "name": "refill"}]


def test_a_reading_alone_between_two_gaps_is_a_dot() -> None:
    last = named(drawn())["Flow"]["data"][-1]
    assert last["symbol"] == "circle"
    assert last["value"] == (AT[2].isoformat(), 0.0)


def test_alerts_and_events_lie_in_lanes_that_say_priority_and_name() -> None:
    stall, low = Marked(AT[0], AT[1], "high", "Stall"), Marked(AT[1], AT[2], "low", "Reservoir low")
    chart = drawn([low, stall], [(AT[1], "refill")])
    assert chart["yAxis"][1]["data"] == ["▲ Stall", "● Reservoir low", "events"]
    lines = named(chart)
    assert lines["Alerts, high"]["data"][:2] == ((AT[0].isoformat(), 0), (AT[1].isoformat(), 0))
    assert lines["Events"]["data"][0] == {"name": "refill", "value": [AT[1].isoformat(), 2]}
    assert lanes_px([(AT[1], "refill")], [low, stall]) == 3 * lanes_px([], [stall])
    assert {axis["min"] for axis in chart["xAxis"]} == {AT[0].isoformat()}, "both have the same times above each other"


def test_a_chart_keeps_its_lines_so_that_a_zoom_stays() -> None:
    assert len(drawn()["series"]) == len(drawn([Marked(AT[0], AT[1], "high", "Stall")], [(AT[1], "x")])["series"])


def test_the_cone_begins_at_the_last_level_and_leaves_out_what_is_not_known() -> None:
    forecast = {"Empty at the earliest": 3.0, "Empty as programmed": None, "Empty at the latest": 6.0}
    lines = named(reservoir(COLUMNS, GAPS, forecast))
    assert lines["Empty at the earliest"]["data"] == (
        (AT[-1].isoformat(), 17.5),
        ((AT[-1] + timedelta(days=3)).isoformat(), 0.0),
    )
    assert values(lines["Empty as programmed"]) == []
    assert values(lines["Tolerated from"]) == [17.5, 0.0, 0.0]
    assert values(lines["Tolerated"]) == [0.0, 8.75, 0.0]


def test_nothing_is_drawn_of_nothing() -> None:
    empty: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    assert values(reservoir(empty, [], {"Empty at the earliest": 3.0})["series"][0]) == []
    assert values(battery(empty, [])["series"][0]) == []


def test_a_hundredth_of_a_volt_is_no_cliff() -> None:
    axis = battery(COLUMNS | {"battery_v_min": [2.90, 2.91, 2.90]}, [])["yAxis"]
    assert axis["max"] - axis["min"] > 0.2
