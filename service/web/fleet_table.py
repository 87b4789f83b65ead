"""What does the table of the fleet say of each pump? One element on the page, and the words of its rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from service.core.reading import Mode
from service.web.keyed import Keyed, Row
from service.web.words import SHAPES, condition, milliseconds

_COLUMNS: Final = (
    ("pump", "Pump", "pump"),
    ("alert", "Open alert", "urgency"),
    ("site", "Site", "site"),
    ("state", "State", ""),
    ("flow", "Flow of program, 24 h", ""),
    ("empty", "Empty in", "empty"),
    ("battery", "Battery", "battery"),
    ("heard", "Last heard", "heard"),
)


class FleetTable(Keyed, component="fleet_table.js"):
    """Rows are those of `row_of`. Says `sort` with the name of a sort when another one is wanted."""

    def __init__(self, rows: Iterable[Row], sort: str) -> None:
        columns = tuple({"name": name, "label": label, "sort": by} for name, label, by in _COLUMNS)
        super().__init__(rows, columns=columns, sort=sort)


def row_of(pump: Mapping[str, Any], shares: Sequence[float | None] | None) -> Row:
    """`pump`: a row of service/postgres/fleet_page.py; `shares`: its flow of a day, once that is known."""
    unknown, program = pump["unknown"], pump["program_ml_d"]
    was = "was " if unknown else ""
    worst = pump["worst"]
    return {
        "id": str(pump["pump"]),
        "pump": pump["pump_id"],
        "worst": worst,
        "shape": SHAPES[worst] if worst else "",
        "conditions": ", ".join(condition(name.strip()).lower() for name in (pump["conditions"] or "").split(",")),
        "answered": worst is not None and not pump["unanswered"],
        "site": pump["site"] or "none",
        "unknown": unknown,
        "state": _state(pump),
        "flow": f"{was}{pump['flow_ml_d'] / program:.0%}" if program else "unknown",
        "shares": None if shares is None else tuple(shares),
        "empty": "unknown" if pump["empty_d"] is None else f"{max(pump['empty_d'], 0):.1f} d",
        "battery": "unknown" if pump["battery_v"] is None else f"{was}{pump['battery_v']:.2f} V",
        "heard": None if pump["received_at"] is None else milliseconds(pump["received_at"]),
    }


def _state(pump: Mapping[str, Any]) -> str:
    if not pump["in_service"]:
        return "out of service"
    if pump["received_at"] is None:
        return "unknown: never heard"
    if pump["silent"]:
        return "unknown: silent"
    if pump["unknown"]:
        return "unknown: overdue"
    return "unknown" if pump["mode"] is None else Mode(pump["mode"]).name.lower().replace("_", " ")
