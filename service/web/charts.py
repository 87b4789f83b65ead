"""What does a chart of the board draw? Options for ECharts, made of columns: a gap is a gap, a spike is never lost."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

TOLERANCE: Final = 0.145
"""What a healthy pump may deliver beside its program: the labelled accuracy (docs/rules.md)."""
BLUE, GREEN, ORANGE, RED, GREY = "#0072B2", "#009E73", "#E69F00", "#D55E00", "#8a939b"
_COLOURS: Final = {"high": RED, "medium": ORANGE, "low": "#CC79A7"}

Point = tuple[str, float | None]


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
    alerts: Sequence[tuple[datetime, datetime, str, str]],
) -> dict[str, Any]:
    """Flow against program with the tolerated band; what happened and what was wrong lie on it."""
    at = columns["at"]
    program = line_with_gaps(at, columns["program_ml_d_mean"], gaps)
    band = [
        _line("Tolerated from", _times(program, 1 - TOLERANCE), GREEN, width=0, stack="band"),
        _line("Tolerated", _times(program, 2 * TOLERANCE), GREEN, width=0, stack="band", fill=0.15),
    ]
    measured = _line("Flow", line_with_gaps(at, columns["flow_ml_d_mean"], gaps), BLUE, width=2)
    measured["markLine"] = _marks(events)
    measured["markArea"] = _areas(alerts)
    return _options(
        "mL/d",
        [
            *band,
            _line("Program", program, GREEN, dashed=True),
            _line("Least", line_with_gaps(at, columns["flow_ml_d_min"], gaps), GREY),
            _line("Most", line_with_gaps(at, columns["flow_ml_d_max"], gaps), GREY),
            measured,
        ],
    )


def reservoir(
    columns: Mapping[str, Sequence[Any]],
    gaps: Sequence[Mapping[str, datetime]],
    forecast: Mapping[str, float | None],
) -> dict[str, Any]:
    """The level as the pump says it, and the cone to empty: in so many days, by what may be delivered."""
    level = line_with_gaps(columns["at"], columns["reservoir_ml_mean"], gaps)
    series = [_line("Reservoir", level, BLUE, width=2)]
    if columns["at"]:
        last, ml = columns["at"][-1], columns["reservoir_ml_mean"][-1]
        for (name, days), colour in zip(forecast.items(), (RED, ORANGE, GREEN), strict=False):
            if days is not None:
                end = last + timedelta(days=days)
                series.append(_line(name, [(last.isoformat(), ml), (end.isoformat(), 0.0)], colour, dashed=True))
    return _options("mL", series)


def battery(columns: Mapping[str, Sequence[Any]], gaps: Sequence[Mapping[str, datetime]]) -> dict[str, Any]:
    points = line_with_gaps(columns["at"], columns["battery_v_min"], gaps)
    options = _options("V", [_line("Battery", points, BLUE, width=2)])
    options["yAxis"]["scale"] = True
    return options


def _times(points: Sequence[Point], factor: float) -> list[Point]:
    return [(at, None if value is None else value * factor) for at, value in points]


def _line(
    name: str,
    points: Sequence[Point],
    colour: str,
    *,
    width: int = 1,
    dashed: bool = False,
    stack: str = "",
    fill: float = 0,
) -> dict[str, Any]:
    line: dict[str, Any] = {
        "name": name,
        "type": "line",
        "data": points,
        "showSymbol": False,
        "connectNulls": False,
        "color": colour,
        "lineStyle": {"width": width, "type": "dashed" if dashed else "solid"},
    }
    if stack:
        line |= {"stack": stack, "silent": True, "tooltip": {"show": False}}
    if fill:
        line["areaStyle"] = {"opacity": fill}
    return line


def _marks(events: Sequence[tuple[datetime, str]]) -> dict[str, Any]:
    return {
        "symbol": "none",
        "lineStyle": {"color": GREY, "type": "dotted"},
        "label": {"formatter": "{b}", "rotate": 90, "position": "insideEndTop", "color": GREY},
        "data": [{"xAxis": at.isoformat(), "name": name} for at, name in events],
    }


def _areas(alerts: Sequence[tuple[datetime, datetime, str, str]]) -> dict[str, Any]:
    """From onset to end: (began, ended, priority, name)."""
    return {
        "data": [
            [
                {
                    "xAxis": began.isoformat(),
                    "name": f"{priority}: {name}",
                    "itemStyle": {"color": _COLOURS[priority], "opacity": 0.08},
                    "label": {"color": _COLOURS[priority], "position": "insideTop"},
                },
                {"xAxis": ended.isoformat()},
            ]
            for began, ended, priority, name in alerts
        ]
    }


def _options(unit: str, series: Sequence[dict[str, Any]]) -> dict[str, Any]:
    shown = [line["name"] for line in series if not line.get("silent")]
    return {
        "animation": False,
        "aria": {"enabled": True},
        "grid": {"left": 55, "right": 20, "top": 40, "bottom": 60},
        "legend": {"data": shown, "top": 0, "textStyle": {"color": GREY}},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "time"},
        "yAxis": {"type": "value", "name": unit},
        "dataZoom": [{"type": "inside"}, {"type": "slider", "height": 20, "bottom": 15}],
        "series": list(series),
    }


def evidence(at: Sequence[str], flow_ml_d: Sequence[float], program_ml_d: Sequence[float]) -> dict[str, Any]:
    """The readings that decided: program and flow."""
    return _options(
        "mL/d",
        [
            _line("Program", list(zip(at, program_ml_d, strict=True)), GREEN, dashed=True),
            _line("Flow", list(zip(at, flow_ml_d, strict=True)), BLUE, width=2),
        ],
    )
