"""How is one pump? What it was told and what it does, how long it lasts, what was wrong with it and what happened."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final

import asyncpg
from fastapi import Query
from nicegui import ui

from service.api import events
from service.api.live import Wanted
from service.api.problems import Problem, not_found
from service.api.pump_models import Pump
from service.core.census import State
from service.core.verdicts import Verdict
from service.postgres import open_alerts, queries
from service.postgres.accounts import audit
from service.web import desk, frame, recording, span
from service.web.alert_list import AlertList, row_of
from service.web.pump_charts import PumpCharts
from service.web.span import Span
from service.web.tables import Cell, Facts, TextTable
from service.web.words import ago, condition, days, dose

EVENTS: Final = 20
_CLASSES: Final = {Verdict.HOLDS: "state-high", Verdict.DOES_NOT_HOLD: "state-good"}
_OF_EVERY_EVENT: Final = frozenset({"boot", "seq", "type", "time_ms", "held_from", "simulated"})


def add() -> None:
    frame.at("/pumps/{pump_id}", reconnect_timeout=frame.KEPT_S)(_page)


async def _page(
    pump_id: str,
    length: Annotated[str, Query(alias="span", max_length=10)] = span.USUAL,
    first: Annotated[str, Query(alias="from", max_length=10)] = "",
    last: Annotated[str, Query(alias="to", max_length=10)] = "",
) -> None:
    chosen = span.span_of(length, first, last, desk.now())
    try:
        async with desk.database() as connection:
            pump = await _of_the_visitor(connection, pump_id)
            await audit(connection, desk.visitor().name, "pump_viewed", pump_id)
            happened = await _events(connection, pump_id)
            alerts = await _open_alerts(connection, pump_id)
    except Problem as problem:
        with frame.page("Pump"):
            ui.html("<h1>No such pump</h1>", sanitize=False)
            frame.refused(problem)
        return
    with frame.page(pump_id):
        shown = _Shown(pump, chosen, alerts)
    shown.show(pump)
    shown.events.show(happened)

    async def facts() -> None:
        async with desk.database() as connection:
            shown.show(await _of_the_visitor(connection, pump_id))

    async def everything() -> None:
        async with desk.database() as connection:
            current = await _of_the_visitor(connection, pump_id)
            shown.show(current)
            shown.alerts.show(await _open_alerts(connection, pump_id))
            shown.events.show(await _events(connection, pump_id))
            await shown.charts.show(connection, current)

    frame.follow(Wanted(frozenset({"reading"}), pumps=frozenset({pump_id})), facts)
    frame.follow(Wanted(frozenset({"alert", "verdict"}), pumps=frozenset({pump_id})), everything)
    ui.timer(60.0, everything)  # at once as well: the charts are drawn when the rest of the page can be read already
    ui.timer(10.0, facts)


class _Shown:
    """The page, made once; afterwards only what has changed is said anew, and a zoom stays."""

    def __init__(self, pump: Pump, chosen: Span, alerts: list[Mapping[str, Any]]) -> None:
        with ui.element("h1"):
            ui.label(pump.pump_id)
        self._silent = ui.label().classes("notice")
        standing = ui.element("div").props('aria-live="polite"')
        self.alerts = AlertList(alerts, whole=False)
        ui.link("Alerts of this pump that are over", f"/history?days=365&pump={pump.pump_id}")
        self._facts = Facts()
        recording.add(pump, standing)
        ui.html("<h2>What was measured</h2>", sanitize=False)
        _spans(pump.pump_id, chosen)
        self.charts = PumpCharts(chosen)
        ui.html("<h2>What happened</h2>", sanitize=False)
        self.events = TextTable("When (UTC)", "What", "As the pump says it")
        with ui.expansion().classes("verdicts") as self._verdicts_of:
            self._verdicts = TextTable("Condition", "Verdict", "Since")

    def show(self, pump: Pump) -> None:
        self._silent.text = _silent(pump)
        self._silent.visible = bool(self._silent.text)
        self._facts.show(_facts(pump), known=pump.state is State.HEARD)
        order = list(Verdict)
        known = sorted(pump.verdicts.items(), key=lambda each: (order.index(each[1].verdict), each[0]))
        counted = {verdict: sum(told.verdict is verdict for _, told in known) for verdict in Verdict}
        said = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in counted.items() if count)
        self._verdicts_of.text = f"Every condition that is judged: {said}"
        self._verdicts.show(
            [
                (
                    condition(name),
                    Cell(told.verdict.replace("_", " "), _CLASSES.get(told.verdict, "state-unknown")),
                    "" if told.since is None else ago(told.since, desk.now()),
                )
                for name, told in known
            ]
        )


async def _of_the_visitor(connection: asyncpg.Connection, pump_id: str) -> Pump:
    """Raises Problem (404), also for a pump that the visitor may not see."""
    row = await queries.pump(connection, pump_id)
    if row is None or not desk.visitor().sees(row["site"]):
        raise not_found(f"pump {pump_id}")
    return Pump.of(row, desk.context().rulebook, desk.now())


def _silent(pump: Pump) -> str:
    if pump.state is State.HEARD:
        return ""
    if pump.state is State.OUT_OF_SERVICE:
        return "Out of service: nobody judges it."
    if pump.latest is None:
        return "Nothing was ever heard from this pump: how it is doing is unknown."
    heard = ago(pump.latest.received_at, desk.now()).removesuffix(" ago")
    return f"Nothing has been heard from this pump for {heard}: how it is doing is unknown. Below is what it said last."


def _facts(pump: Pump) -> dict[str, str]:
    now, latest, empty = desk.now(), pump.latest, pump.time_to_empty
    strength = pump.concentration_ug_ml
    return {
        "Last heard": "never" if latest is None else ago(latest.received_at, now),
        "Program": dose(latest.program_ml_d if latest else None, strength),
        "Flow": dose(latest.flow_ml_d if latest else None, strength),
        "Mode": "unknown" if latest is None else latest.mode.replace("_", " "),
        "Reservoir": "unknown" if latest is None else f"{latest.reservoir_ml:.2f} of {pump.capacity_ml:.0f} mL",
        "Empty, at the earliest": days(empty.conservative_d if empty else None),
        "Empty, as programmed": days(empty.nominal_d if empty else None),
        "Next refill": "unknown" if pump.next_refill_on is None else _in_days(pump.next_refill_on, now.date()),
        "Battery": "unknown" if latest is None else f"{latest.battery_v:.2f} V",
        "Drug": f"{pump.drug} ({pump.drug_class})" if pump.drug != pump.drug_class else pump.drug,
        "Site": pump.site or "none",
        "Model": f"{pump.model}; flow by {pump.flow_channel}, level {pump.reservoir_channel}",
        "Service": ("in service" if pump.in_service else "out of service") + (", simulated" if pump.simulated else ""),
    }


def _in_days(on: date, today: date) -> str:
    left = (on - today).days
    day = f"{on}".replace("-", "\N{NON-BREAKING HYPHEN}")
    return f"{day}, " + (f"in {left} days" if left > 0 else "today" if left == 0 else f"{-left} days overdue")


async def _open_alerts(connection: asyncpg.Connection, pump_id: str) -> list[Mapping[str, Any]]:
    chosen = open_alerts.Chosen(None, None, None, 100, pump_id)
    return [row_of(row, desk.now()) for row in await open_alerts.open_alerts(connection, chosen)]


async def _events(connection: asyncpg.Connection, pump_id: str) -> list[tuple[str, str, str]]:
    page = await events.list_events(
        connection=connection, pump_id=pump_id, since=None, until=None, kind=None, limit=EVENTS, page=None
    )
    return [
        (f"{event.measured_at:%Y-%m-%d %H:%M}", event.type.replace("_", " "), _said(event.body)) for event in page.items
    ]


def _said(body: Mapping[str, Any]) -> str:
    told = ((name.replace("_", " "), value) for name, value in body.items() if name not in _OF_EVERY_EVENT)
    return ", ".join(f"{name} {value}" for name, value in told if value is not None)


def _spans(pump_id: str, chosen: Span) -> None:
    """Links to the usual spans, and a form for any other; both are addresses that can be kept."""
    with ui.element("div").classes("filters spans"):
        with ui.element("nav").props('aria-label="Span"'):
            for key, (name, _) in span.LENGTHS.items():
                link = ui.link(name, f"/pumps/{pump_id}?{Span(key).query()}")
                link.props('aria-current="true"' if chosen.up_to_now and key == chosen.length else "")
        # An id and a day have no characters that HTML knows.
        first, last = (f'value="{day}"' if day else "" for day in (chosen.first, chosen.last))
        ui.html(
            f'<form action="/pumps/{pump_id}" method="get"><label>From <input type="date" name="from" required {first}>'
            f'</label><label>to <input type="date" name="to" required {last}></label>'
            '<button class="quiet" type="submit">Show</button></form>',
            sanitize=False,
        )
