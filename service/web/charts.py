"""What does a chart of the board draw? Options for ECharts, made of columns: a gap is a gap, a spike is never lost."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from service.web.words import SHAPES

BLUE, GREEN, ORANGE, RED, GREY = "#0072B2", "#009E73", "#E69F00", "#D55E00", "#76808a"
_COLOURS: Final = {"high": RED, "medium": ORANGE, "low": "#CC79A7"}
_HAPPENED: Final = "events"
_LANE_PX: Final = 32
_BELOW_PX: Final = 68
"""For the times and the slider."""

Point = tuple[str, float | None]


class Band(NamedTuple):
    """What the rules tolerate beside the program, as shares of it."""

    below: float
    above: float


class Marked(NamedTuple):
    """An alert, as far as it lies in the span."""

    began_at: datetime
    ended_at: datetime
    priority: str
    name: str


def line_with_gaps(
    at: Sequence[datetime], values: Sequence[float], gaps: Sequence[Mapping[str, datetime]]
) -> list[Point]:
    """The points of a line, with a hole in it within each gap."""
    points = [(time.isoformat(), value) for time, value in zip(at, values, strict=True)]
    holes: list[Point] = [((gap["from_at"] + timedelta(milliseconds=1)).isoformat(), None) for gap in gaps]
    return sorted([*points, *holes], key=lambda point: datetime.fromisoformat(point[0]))


def flow(
    columns: Mapping[str, Sequence[Any]],
    gaps: Sequence[Mapping[str, datetime]],
    events: Sequence[tuple[datetime, str]],
    alerts: Sequence[Marked],
    tolerated: Band,
    ends: tuple[datetime, datetime],
) -> dict[str, Any]:
    """Flow against program with the tolerated band; below it, in lanes of their own, alerts and what happened."""
    at = columns["at"]
    program = line_with_gaps(at, columns["program_ml_d_mean"], gaps)
    least, most = (line_with_gaps(at, columns[f"flow_ml_d_{what}"], gaps) for what in ("min", "max"))
    measured = line("Flow", line_with_gaps(at, columns["flow_ml_d_mean"], gaps), BLUE, width=2)
    measured["markLine"] = _marks(events)
    lanes = list(dict.fromkeys(_lane(alert) for alert in sorted(alerts, key=lambda each: each.began_at)))
    if events:
        lanes.append(_HAPPENED)
    drawn = options(
        "mL/d",
        [
            *_band(_times(program, 1 - tolerated.below), _times(program, tolerated.below + tolerated.above), GREEN),
            line("Program", program, GREEN, dashed=True),
            line("Least", least if least != most else [], GREY),
            line("Most", most if least != most else [], GREY),
            measured,
            *(_alerts(priority, [each for each in alerts if each.priority == priority], lanes) for priority in SHAPES),
            _happened(events, lanes),
        ],
    )
    below_px = _BELOW_PX + _LANE_PX * len(lanes)
    y_axis, grid = drawn["yAxis"], drawn["grid"]
    x_axis = drawn["xAxis"] | {"min": ends[0].isoformat(), "max": ends[1].isoformat()}
    lane_grid = grid | {"top": None, "height": _LANE_PX * len(lanes), "bottom": _BELOW_PX}
    lane_axis = {"type": "category", "gridIndex": 1, "data": lanes, "inverse": True, **_LANE_AXIS}
    return drawn | {
        "grid": [grid | {"bottom": below_px}, lane_grid],
        "xAxis": [x_axis | {"axisLabel": {"show": not lanes}}, x_axis | {"gridIndex": 1, "show": bool(lanes)}],
        "yAxis": [y_axis, lane_axis],
    }


def lanes_px(events: Sequence[object], alerts: Sequence[Marked]) -> int:
    """How much higher the chart of the flow is for its lanes."""
    return _LANE_PX * (len({_lane(alert) for alert in alerts}) + bool(events))


def reservoir(
    columns: Mapping[str, Sequence[Any]],
    gaps: Sequence[Mapping[str, datetime]],
    forecast: Mapping[str, float | None],
) -> dict[str, Any]:
    """The level as the pump says it, and the cone to empty: `forecast` in days, the earliest first."""
    level = line_with_gaps(columns["at"], columns["reservoir_ml_mean"], gaps)
    lines: dict[str, list[Point]] = {name: [] for name in forecast}
    lower: list[Point] = []
    width: list[Point] = []
    if columns["at"]:
        last, ml = columns["at"][-1], columns["reservoir_ml_mean"][-1]
        ends = {name: last + timedelta(days=days) for name, days in forecast.items() if days is not None}
        lines |= {name: [(last.isoformat(), ml), (end.isoformat(), 0.0)] for name, end in ends.items()}
        if len(ends) > 1:
            first, final = min(ends.values()), max(ends.values())
            left = ml * (1 - (first - last) / (final - last)) if final > last else 0.0
            edges = [at.isoformat() for at in (last, first, final)]
            lower = list(zip(edges, (ml, 0.0, 0.0), strict=True))
            width = list(zip(edges, (0.0, left, 0.0), strict=True))
    named = zip(lines.items(), (RED, ORANGE, GREEN), strict=False)
    cone = [line(name, points, colour, dashed=True) for (name, points), colour in named]
    return options("mL", [line("Reservoir", level, BLUE, width=2), *_band(lower, width, ORANGE), *cone])


def battery(columns: Mapping[str, Sequence[Any]], gaps: Sequence[Mapping[str, datetime]]) -> dict[str, Any]:
    least = columns["battery_v_min"]
    drawn = options("V", [line("Battery", line_with_gaps(columns["at"], least, gaps), BLUE, width=2)])
    if least:  # a hundredth of a volt is no cliff
        drawn["yAxis"] |= {"min": math.floor(min(least) * 10 - 1) / 10, "max": math.ceil(max(least) * 10 + 1) / 10}
    return drawn


def line(
    name: str,
    points: Sequence[Point],
    colour: str,
    *,
    width: int = 1,
    dashed: bool = False,
    stack: str = "",
    fill: float = 0,
) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "name": name,
        "type": "line",
        "data": _drawn(points),
        "symbol": "none",
        "connectNulls": False,
        "color": colour,
        "lineStyle": {"width": width, "type": "dashed" if dashed else "solid"},
    }
    if stack:
        drawn |= {"stack": stack, "silent": True, "tooltip": {"show": False}}
    if fill:
        drawn["areaStyle"] = {"opacity": fill}
    return drawn


def _drawn(points: Sequence[Point]) -> tuple[Any, ...]:
    """A point alone between two gaps is no line: it gets a dot. (A tuple: NiceGUI looks into lists for changes.)"""
    last = len(points) - 1
    return tuple(
        {"value": point, "symbol": "circle", "symbolSize": 3}
        if point[1] is not None
        and (place == 0 or points[place - 1][1] is None)
        and (place == last or points[place + 1][1] is None)
        else point
        for place, point in enumerate(points)
    )


def span_marked(began_at: datetime, ended_at: datetime) -> dict[str, Any]:
    """A span laid behind the lines."""
    return {
        "itemStyle": {"color": RED, "opacity": 0.08},
        "data": [[{"xAxis": began_at.isoformat()}, {"xAxis": ended_at.isoformat()}]],
    }


def _band(lower: Sequence[Point], width: Sequence[Point], colour: str) -> list[dict[str, Any]]:
    return [
        line("Tolerated from", lower, colour, width=0, stack="band"),
        line("Tolerated", width, colour, width=0, stack="band", fill=0.18),
    ]


def _times(points: Sequence[Point], factor: float) -> list[Point]:
    return [(at, None if value is None else value * factor) for at, value in points]


def _lane(alert: Marked) -> str:
    return f"{SHAPES[alert.priority]} {alert.name}"


def _alerts(priority: str, alerts: Sequence[Marked], lanes: Sequence[str]) -> dict[str, Any]:
    """From onset to end, each in its lane."""
    points: list[tuple[str, int | None]] = []
    for alert in alerts:
        lane = lanes.index(_lane(alert))
        points += [(alert.began_at.isoformat(), lane), (alert.ended_at.isoformat(), lane)]
        points.append((alert.ended_at.isoformat(), None))
    drawn = line(f"Alerts, {priority}", points, _COLOURS[priority], width=9)
    in_lanes = {"xAxisIndex": 1, "yAxisIndex": 1, "symbol": "rect", "symbolSize": 9, "data": tuple(points)}
    return drawn | in_lanes | {"silent": True, "tooltip": {"show": False}}


def _happened(events: Sequence[tuple[datetime, str]], lanes: Sequence[str]) -> dict[str, Any]:
    return {
        "name": "Events",
        "type": "scatter",
        "xAxisIndex": 1,
        "yAxisIndex": 1,
        "silent": True,
        "symbol": "diamond",
        "symbolSize": 9,
        "color": GREY,
        "data": tuple({"name": name, "value": [at.isoformat(), lanes.index(_HAPPENED)]} for at, name in events),
        "label": {"show": True, "formatter": "{b}", "position": "right", "color": GREY, "fontSize": 11},
        "labelLayout": {"hideOverlap": True},
    }


def _marks(events: Sequence[tuple[datetime, str]]) -> dict[str, Any]:
    return {
        "symbol": "none",
        "silent": True,
        "lineStyle": {"color": GREY, "type": "dotted"},
        "label": {"show": False},
        "data": [{"xAxis": at.isoformat(), "name": name} for at, name in events],
    }


_QUIET_AXIS: Final[Mapping[str, Any]] = {
    "axisLabel": {"color": GREY, "hideOverlap": True},
    "axisLine": {"lineStyle": {"color": GREY}},
    "splitLine": {"lineStyle": {"color": GREY, "opacity": 0.25}},
    "nameTextStyle": {"color": GREY},
}


# The name of a lane stands above its bar, so that both charts have the same width.
_LANE_AXIS: Final[Mapping[str, Any]] = {
    "axisLine": {"show": False},
    "axisTick": {"show": False},
    "axisLabel": {"color": GREY, "inside": True, "margin": 2, "verticalAlign": "bottom", "padding": [0, 0, 5, 0]},
    "z": 5,
}


def options(unit: str, series: Sequence[dict[str, Any]]) -> dict[str, Any]:
    shown = [each["name"] for each in series if not each.get("silent")]
    value = f"value => value == null ? 'nothing' : Number(value).toFixed(3) + ' {unit}'"
    return {
        "animation": False,
        "useUTC": True,
        "grid": {"left": 46, "right": 16, "top": 48, "bottom": _BELOW_PX},
        "legend": {"data": shown, "top": 0, "type": "scroll", "textStyle": {"color": GREY}},
        "tooltip": {"trigger": "axis", "confine": True, ":valueFormatter": value},
        "xAxis": {"type": "time", **_QUIET_AXIS, "splitLine": {"show": False}},
        "yAxis": {"type": "value", "name": unit, **_QUIET_AXIS},
        # A page is scrolled over its charts, with a wheel and with a finger: they zoom by their slider, and with Ctrl.
        "dataZoom": [
            {
                "type": "inside",
                "xAxisIndex": "all",
                "zoomOnMouseWheel": "ctrl",
                "moveOnMouseMove": False,
                "preventDefaultMouseMove": False,
            },
            {"type": "slider", "xAxisIndex": "all", "height": 22, "bottom": 12, "textStyle": {"color": GREY}},
        ],
        "series": list(series),
    }
