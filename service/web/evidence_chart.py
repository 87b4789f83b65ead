"""Which picture shows why an alert exists? What was measured around its onset, the limit, and the statistic beside."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from service.core import crossing
from service.core.change import Condition
from service.core.limits import LIMITS
from service.web import charts
from service.web.charts import Point

_AROUND_AT_LEAST: Final = timedelta(hours=1)
_SAID: Final = {
    "cusum": "Deviation added up, hour by hour",
    "sum": "Deviation added up, minute by minute",
    "missed_ul": "Volume missed",
    "empty_in_d": "Empty, at the earliest, in",
    "left_ml": "Left in the reservoir",
}


class Quantity(NamedTuple):
    name: str
    """As a reading has it."""
    title: str
    unit: str


_QUANTITIES: Final = {
    quantity.name: quantity
    for quantity in (
        Quantity("flow_ml_d", "Flow", "mL/d"),
        Quantity("reservoir_ml", "Reservoir", "mL"),
        Quantity("battery_v", "Battery", "V"),
    )
}


def quantity_of(condition: Condition) -> Quantity:
    """What was measured that tells of it."""
    return _QUANTITIES[crossing.quantity_of(condition)]


def span_of(began_at: datetime, detected_at: datetime) -> tuple[datetime, datetime]:
    """What is shown: as long again before the onset and after it was seen, and an hour at least."""
    around = max(detected_at - began_at, _AROUND_AT_LEAST)
    return began_at - around, detected_at + around


def limit_lines(condition: Condition, evidence: Mapping[str, Any], flow_channel: str) -> dict[str, float]:
    """Names and values of the limits that can be drawn into the chart, in its unit."""
    limits = {name.removeprefix("limit_"): value for name, value in evidence.items() if name.startswith("limit_")}
    program = program_of(evidence)
    if condition in {Condition.OVER_DELIVERY, Condition.OVER_DELIVERY_GROSS} and program and "reference" in limits:
        return {"Limit, above which it adds up": program * (1 + limits["reference"])}
    if condition in {Condition.UNDER_DELIVERY, Condition.UNDER_DELIVERY_GROSS} and program and "reference" in limits:
        own = limits.get("rotor_reference") if flow_channel == "rotor" else None
        return {"Limit, below which it adds up": program * (1 - (own or limits["reference"]))}
    if condition is Condition.STALL and program and "below_fraction" in limits:
        return {"Limit, below which it counts as missed": program * limits["below_fraction"]}
    drawn = {
        Condition.RESERVOIR_LOW: "low_volume_ml",
        Condition.RESERVOIR_EMPTY: "volume_ml",
        Condition.BATTERY_LOW: "low_v",
    }.get(condition)
    return {"Limit": limits[drawn]} if drawn in limits else {}


def crossed(condition: Condition, evidence: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what it is, its value, the limit) of what decided."""
    return [
        (
            _SAID.get(one.statistic, said(one.statistic)),
            f"{one.value:.3g} {one.unit}",
            f"{one.limit_value:.3g} {one.unit}",
        )
        for one in crossing.crossings_in(condition, evidence)
    ]


def numbers(condition: Condition, evidence: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(name, value, what it means) of everything that was kept; limits first."""
    found = []
    for name, value in sorted(evidence.items(), key=lambda each: not each[0].startswith("limit_")):
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        limit = LIMITS.get(condition, {}).get(name.removeprefix("limit_")) if name.startswith("limit_") else None
        text = f"{value:.6g}" if isinstance(value, int | float) else value
        found.append((said(name), f"{text} {limit.unit}" if limit else text, limit.meaning if limit else ""))
    return found


def said(name: str) -> str:
    return name.removeprefix("limit_").replace("_", " ").replace(" ml d", "").replace(" ul", "").capitalize()


def chart(
    around: Sequence[Point],
    readings: Mapping[str, Sequence[Any]],
    quantity: Quantity,
    limits: Mapping[str, float],
    seen: tuple[datetime, datetime],
) -> dict[str, Any]:
    """`around`: what was measured before and after; `seen`: from the onset to the reading that decided."""
    at, values = readings.get("measured_at", ()), readings.get(quantity.name, ())
    decided = list(zip(at, values, strict=True)) if len(at) == len(values) else []
    drawn = [charts.line("Before and after", around, charts.GREY)]
    if quantity.name == "flow_ml_d" and len(readings.get("program_ml_d", ())) == len(at):
        program = list(zip(at, readings["program_ml_d"], strict=True)) if at else []
        drawn.append(charts.line("Program", program, charts.GREEN, width=2, dashed=True))
    whole = [point[0] for point in (*around, *decided)]
    for name, value in limits.items():
        ends = [(min(whole), value), (max(whole), value)] if whole else []
        drawn.append(charts.line(name, ends, charts.RED, dashed=True))
    decisive = charts.line(f"{quantity.title}: the readings that decided", decided, charts.BLUE, width=2)
    decisive |= {"symbol": "circle", "symbolSize": 6, "markArea": charts.span_marked(*seen)}
    return charts.options(quantity.unit, [*drawn, decisive])


def program_of(evidence: Mapping[str, Any]) -> float:
    """What was programmed, mL/d; 0: that was not kept."""
    kept = (evidence.get("readings") or {}).get("program_ml_d") or [0.0]
    return float(evidence.get("program_ml_d") or kept[-1])
