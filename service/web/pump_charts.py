"""What of a pump is drawn over a span of time? Flow, reservoir, battery: charts made once, and then kept current."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from nicegui import ui

from service.api import events, series
from service.api.pump_models import Pump
from service.core.change import Condition
from service.core.override import Whose
from service.core.rulebook import Rulebook
from service.postgres import alert_queries
from service.web import charts, desk
from service.web.charts import Band, Marked
from service.web.span import Span
from service.web.words import condition

POINTS: Final = 800
LEVELS_OVER: Final = timedelta(days=30)
"""What of reservoir and battery is shown at least: they change over weeks."""
_MADE_OF: Final = {"raw": "single readings", "hour": "hours, rolled up", "day": "days, rolled up"}
_EVENTS: Final = 100
_FLOW_PX: Final = 340


class Drawn(NamedTuple):
    columns: Mapping[str, Sequence[Any]]
    gaps: Sequence[Mapping[str, datetime]]
    made_of: str


class PumpCharts:
    """The charts; a zoom stays as it is while they are brought up to date."""

    def __init__(self, chosen: Span) -> None:
        self._chosen = chosen
        self._nothing = ui.label("Nothing came in this span.").classes("empty")
        self._flow, self._said_flow = _chart("Flow against program")
        self._reservoir, self._said_levels = _chart("Reservoir, and when it runs dry")
        self._battery, _ = _chart("Battery")
        self._all = (self._nothing, self._flow, self._reservoir, self._battery)
        for each in self._all:
            each.visible = False

    async def show(self, connection: asyncpg.Connection, pump: Pump) -> None:
        now = desk.now()
        since, until = self._chosen.ends(now)
        drawn = await _drawn(connection, pump.pump_id, since, until)
        levels = drawn
        if until - since < LEVELS_OVER:
            levels = await _drawn(connection, pump.pump_id, until - LEVELS_OVER, until)
        self._nothing.visible = not drawn.columns["at"]
        self._flow.visible = bool(drawn.columns["at"])
        self._reservoir.visible = self._battery.visible = bool(levels.columns["at"])
        if drawn.columns["at"]:
            await self._show_flow(connection, pump, drawn, (since, until))
        if levels.columns["at"]:
            forecast = forecast_of(pump) if self._chosen.up_to_now else {}
            self._reservoir.props["options"] = charts.reservoir(levels.columns, levels.gaps, forecast)
            self._battery.props["options"] = charts.battery(levels.columns, levels.gaps)
            shown = max(until - since, LEVELS_OVER).days
            self._said_levels.text = (
                f"The last {shown} days, drawn from {levels.made_of}. The cone is as the rules judge it."
            )

    async def _show_flow(
        self, connection: asyncpg.Connection, pump: Pump, drawn: Drawn, ends: tuple[datetime, datetime]
    ) -> None:
        since, until = ends
        happened = await events.list_events(
            connection=connection, pump_id=pump.pump_id, since=since, until=until, kind=None, limit=_EVENTS, page=None
        )
        marks = [(event.measured_at, event.type.replace("_", " ")) for event in happened.items]
        alerts = await _alerts(connection, pump.pump_id, since, until)
        tolerated = tolerated_of(pump, desk.context().rulebook)
        self._flow.style(f"height: {_FLOW_PX + charts.lanes_px(marks, alerts)}px")
        self._flow.props["options"] = charts.flow(drawn.columns, drawn.gaps, marks, alerts, tolerated, ends)
        self._said_flow.text = (
            f"Drawn from {drawn.made_of}; where nothing came, nothing is drawn. The band is what the rules tolerate: "
            f"{tolerated.below:.1%} below the program to {tolerated.above:.1%} above. Times are UTC."
        )
        flow = drawn.columns["flow_ml_d_mean"]
        self._flow.props["aria-label"] = (
            f"Flow against program from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC: between "
            f"{min(drawn.columns['flow_ml_d_min']):.3f} and {max(drawn.columns['flow_ml_d_max']):.3f} mL/d, "
            f"last {flow[-1]:.3f} mL/d; {len(drawn.gaps)} gaps, {len(alerts)} alerts, {len(marks)} events"
        )


def _chart(title: str) -> tuple[ui.echart, ui.label]:
    with ui.element("h3"):
        ui.label(title)
    chart = ui.echart({}).classes("chart").props(f'role="img" aria-label="{title}"')
    return chart, ui.label().classes("faint")


def tolerated_of(pump: Pump, rulebook: Rulebook) -> Band:
    """From where on the rules add deviation up, for this pump: a rotor counts its steps exactly."""
    whose = Whose(pump.drug_class, pump.site or "", pump.pump_id)
    below = "rotor_reference" if pump.flow_channel == "rotor" else "reference"
    return Band(
        rulebook.limit_of(Condition.UNDER_DELIVERY, below, whose),
        rulebook.limit_of(Condition.OVER_DELIVERY, "reference", whose),
    )


def forecast_of(pump: Pump) -> dict[str, float | None]:
    """In days from the last reading, the earliest first."""
    empty = pump.time_to_empty
    return {
        "Empty at the earliest": empty.conservative_d if empty else None,
        "Empty as programmed": empty.nominal_d if empty else None,
        "Empty at the latest": empty.optimistic_d if empty else None,
    }


async def _drawn(connection: asyncpg.Connection, pump_id: str, since: datetime, until: datetime) -> Drawn:
    answer = await series.get_series(
        context=desk.context(),
        connection=connection,
        pump_id=pump_id,
        since=since,
        until=until,
        points=POINTS,
        resolution=None,
    )
    told = msgspec.json.decode(bytes(answer.body))
    columns = told["columns"] | {"at": [datetime.fromisoformat(at) for at in told["columns"]["at"]]}
    gaps = [{name: datetime.fromisoformat(at) for name, at in gap.items()} for gap in told["gaps"]]
    made_of = _MADE_OF[told["resolution"]]
    if told["resolution"] == "raw" and told["point_s"]:
        made_of = f"readings, the least, mean and most of each {told['point_s']:.0f} s"
    return Drawn(columns, gaps, made_of)


async def _alerts(connection: asyncpg.Connection, pump_id: str, since: datetime, until: datetime) -> list[Marked]:
    rows = await alert_queries.alerts(
        connection,
        after=None,
        states=None,
        pump_id=pump_id,
        conditions=None,
        priorities=None,
        since=None,
        limit=200,
    )
    return [
        Marked(max(row["began_at"], since), min(row["ended_at"], until), row["priority"], condition(row["condition"]))
        for row in (dict(row) | {"ended_at": row["resolved_at"] or until} for row in rows)
        if row["ended_at"] > since and row["began_at"] < until
    ]
