"""How is one pump? What it was told and what it does, how long it lasts, what was wrong with it and what happened."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import asyncpg
import msgspec
from fastapi import Query
from nicegui import ui

from service.api import events, series
from service.api.live import Wanted
from service.api.problems import Problem, not_found
from service.api.pump_models import Pump
from service.core.verdicts import Verdict
from service.postgres import alert_queries, queries
from service.postgres.accounts import audit
from service.web import charts, desk, frame
from service.web.words import SHAPES, ago, condition, days, dose

SPANS: Final = {
    "6h": ("6 hours", timedelta(hours=6)),
    "24h": ("A day", timedelta(days=1)),
    "7d": ("A week", timedelta(days=7)),
    "30d": ("A month", timedelta(days=30)),
    "365d": ("A year", timedelta(days=365)),
}
POINTS: Final = 800


def add() -> None:
    ui.page("/pumps/{pump_id}")(_page)


async def _page(pump_id: str, span: Annotated[str, Query(max_length=10)] = "24h") -> None:
    chosen = span if span in SPANS else "24h"
    with frame.page(pump_id):
        try:
            async with desk.database() as connection:
                pump = await _of_the_visitor(connection, pump_id)
                await audit(connection, desk.visitor().name, "pump_viewed", pump_id)
        except Problem as problem:
            ui.html("<h1>No such pump</h1>", sanitize=False)
            ui.label(problem.detail)
            return
        ui.html(f"<h1>{pump.pump_id}</h1>", sanitize=False)  # an id has no characters that HTML knows
        with ui.element("nav").classes("filters").props('aria-label="Span"'):
            for key, (name, _) in SPANS.items():
                ui.link(name, f"/pumps/{pump_id}?span={key}").props('aria-current="true"' if key == chosen else "")

        @ui.refreshable
        async def shown() -> None:
            async with desk.database() as connection:
                current = await _of_the_visitor(connection, pump_id)
                _facts(current)
                await _alerts(connection, pump_id)
                await _charts(connection, current, SPANS[chosen][1])
                _verdicts(current)
                await _events(connection, pump_id)

        await shown()

    async def again() -> None:
        await shown.refresh()

    frame.follow(Wanted(frozenset({"alert", "verdict"}), pumps=frozenset({pump_id})), again)
    ui.timer(60.0, shown.refresh)


async def _of_the_visitor(connection: asyncpg.Connection, pump_id: str) -> Pump:
    """Raises Problem (404), also for a pump that the visitor may not see."""
    row = await queries.pump(connection, pump_id)
    if row is None or not desk.visitor().sees(row["site"]):
        raise not_found(f"pump {pump_id}")
    return Pump.of(row, desk.context().rulebook, desk.now())


def _facts(pump: Pump) -> None:
    now, latest, empty = desk.now(), pump.latest, pump.time_to_empty
    strength = pump.concentration_ug_ml
    facts = {
        "Last heard": "never" if latest is None else ago(latest.received_at, now),
        "Program": dose(latest.program_ml_d if latest else None, strength),
        "Flow": dose(latest.flow_ml_d if latest else None, strength),
        "Mode": "unknown" if latest is None else latest.mode,
        "Reservoir": "unknown" if latest is None else f"{latest.reservoir_ml:.2f} of {pump.capacity_ml:.0f} mL",
        "Empty, at the earliest": days(empty.conservative_d if empty else None),
        "Battery": "unknown" if latest is None else f"{latest.battery_v:.2f} V",
        "Drug": f"{pump.drug} ({pump.drug_class})",
        "Site": pump.site or "none",
        "Model": f"{pump.model}; flow by {pump.flow_channel}, level {pump.reservoir_channel}",
        "Service": ("in service" if pump.in_service else "out of service") + (", simulated" if pump.simulated else ""),
    }
    with ui.element("dl").classes("facts"):
        for name, value in facts.items():
            with ui.element("div"):
                with ui.element("dt"):
                    ui.label(name)
                with ui.element("dd"):
                    ui.label(value).classes("state-unknown" if value in {"unknown", "never"} else "")


async def _alerts(connection: asyncpg.Connection, pump_id: str) -> None:
    rows = await _alerts_of(connection, pump_id)
    open_now = [row for row in rows if row["state"] != "resolved"]
    ui.html("<h2>Open alerts</h2>", sanitize=False)
    if not open_now:
        ui.label("None is open.").classes("faint")
    for row in open_now:
        priority = row["priority"]
        with ui.element("article").classes(f"alert-row {priority}"):
            ui.label(f"{SHAPES[priority]} {priority}").classes(f"priority {priority}")
            ui.link(condition(row["condition"]), f"/alerts/{row['id']}").classes("text-weight-bold")
            ui.label(f"raised {ago(row['raised_at'], desk.now())}").classes("faint")


async def _alerts_of(connection: asyncpg.Connection, pump_id: str) -> list[asyncpg.Record]:
    return await alert_queries.alerts(
        connection,
        after=None,
        states=None,
        pump_id=pump_id,
        conditions=None,
        priorities=None,
        since=None,
        limit=100,
    )


async def _charts(connection: asyncpg.Connection, pump: Pump, length: timedelta) -> None:
    now = desk.now()
    answer = await series.get_series(
        context=desk.context(),
        connection=connection,
        pump_id=pump.pump_id,
        since=now - length,
        until=now,
        points=POINTS,
        resolution=None,
    )
    drawn = msgspec.json.decode(bytes(answer.body))
    columns: Mapping[str, Sequence[Any]] = drawn["columns"] | {
        "at": [datetime.fromisoformat(at) for at in drawn["columns"]["at"]]
    }
    gaps = [{name: datetime.fromisoformat(at) for name, at in gap.items()} for gap in drawn["gaps"]]
    if not columns["at"]:
        ui.label("Nothing came in this span.").classes("empty")
        return
    happened = await events.list_events(
        connection=connection, pump_id=pump.pump_id, since=now - length, until=now, kind=None, limit=50, page=None
    )
    alerts = [
        (max(row["began_at"], now - length), row["resolved_at"] or now, row["priority"], condition(row["condition"]))
        for row in await _alerts_of(connection, pump.pump_id)
        if (row["resolved_at"] or now) > now - length
    ]
    empty = pump.time_to_empty
    forecast = {
        "Empty at the earliest": empty.conservative_d if empty else None,
        "Empty as programmed": empty.nominal_d if empty else None,
        "Empty at the latest": empty.optimistic_d if empty else None,
    }
    marks = [(event.measured_at, event.type.replace("_", " ")) for event in happened.items]
    for title, options in (
        ("Flow against program", charts.flow(columns, gaps, marks, alerts)),
        ("Reservoir, and when it runs dry", charts.reservoir(columns, gaps, forecast)),
        ("Battery", charts.battery(columns, gaps)),
    ):
        ui.html(f"<h2>{title}</h2>", sanitize=False)
        ui.echart(options).classes("chart").props(f'role="img" aria-label="{title}"')
    ui.label(f"Made of {drawn['resolution']} values; what did not come is left open.").classes("faint")


def _verdicts(pump: Pump) -> None:
    ui.html("<h2>What can be told</h2>", sanitize=False)
    order = list(Verdict)
    known = sorted(pump.verdicts.items(), key=lambda each: (order.index(each[1].verdict), each[0]))
    classes = {Verdict.HOLDS: "state-high", Verdict.DOES_NOT_HOLD: "state-good"}
    with ui.element("div").classes("scroll"), ui.element("table").classes("plain"):
        _head("Condition", "Verdict", "Since")
        for name, told in known:
            with ui.element("tr"):
                _cell(condition(name))
                _cell(told.verdict.replace("_", " "), classes.get(told.verdict, "state-unknown"))
                _cell("" if told.since is None else ago(told.since, desk.now()))


async def _events(connection: asyncpg.Connection, pump_id: str) -> None:
    page = await events.list_events(
        connection=connection, pump_id=pump_id, since=None, until=None, kind=None, limit=20, page=None
    )
    ui.html("<h2>What happened</h2>", sanitize=False)
    if not page.items:
        ui.label("Nothing yet.").classes("faint")
        return
    with ui.element("div").classes("scroll"), ui.element("table").classes("plain"):
        _head("When (UTC)", "What")
        for event in page.items:
            with ui.element("tr"):
                _cell(f"{event.measured_at:%Y-%m-%d %H:%M}")
                _cell(event.type.replace("_", " "))


def _head(*names: str) -> None:
    with ui.element("tr"):
        for name in names:
            with ui.element("th").props('scope="col"'):
                ui.label(name)


def _cell(text: str, classes: str = "") -> None:
    with ui.element("td"):
        ui.label(text).classes(classes)
