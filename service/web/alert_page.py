"""What is this alert, why is it there, who was told, who has answered? And the buttons to answer it."""

from typing import Any, Final
from uuid import UUID

from nicegui import ui

from service.api import alerts
from service.api.alert_models import AlertDetail
from service.api.live import Wanted
from service.api.problems import Problem, not_found
from service.core.sentences import what_evidence_says
from service.postgres.accounts import Role
from service.web import answering, charts, desk, frame
from service.web.words import SHAPES, ago, condition

_WORDS: Final = {"condition_began": "began", "condition_ended": "was over", "priority_rose": "became more urgent"}


def add() -> None:
    ui.page("/alerts/{alert_id}")(_page)


async def _page(alert_id: UUID) -> None:
    with frame.page("Alert"):

        @ui.refreshable
        async def shown() -> None:
            try:
                alert = await _of_the_visitor(alert_id)
            except Problem as problem:
                ui.html("<h1>No such alert</h1>", sanitize=False)
                ui.label(problem.detail)
                return
            _show(alert)

        await shown()

    async def again() -> None:
        await shown.refresh()

    frame.follow(Wanted(frozenset({"alert"})), again)
    ui.timer(30.0, shown.refresh)


async def _of_the_visitor(alert_id: UUID) -> AlertDetail:
    """Raises Problem (404), also for an alert that the visitor may not see."""
    async with desk.database() as connection:
        alert = await alerts.get_alert(desk.context(), connection, alert_id)
    if not desk.visitor().sees(alert.site):
        raise not_found(f"alert {alert_id}")
    return alert


def _show(alert: AlertDetail) -> None:
    now = desk.now()
    name = alert.pump_id or alert.subject.partition(":")[2]
    with ui.element("div").classes(f"alert-row {alert.priority}"):
        ui.label(f"{SHAPES[alert.priority]} {alert.priority}").classes(f"priority {alert.priority}")
        with ui.element("h1").style("margin:0"):
            ui.label(f"{condition(alert.condition)}, {name}")
        ui.label(f"{alert.state}, raised {ago(alert.raised_at, now)}").classes("faint")
    ui.label(what_evidence_says(alert.condition, alert.evidence, now))
    ui.label(f"What to do now: {alert.do_now}").classes("text-weight-bold")
    if alert.simulated:
        ui.label("A simulated pump.").classes("faint")
    _buttons(alert)
    if alert.pump_id:
        ui.link(f"Everything about {alert.pump_id}", f"/pumps/{alert.pump_id}")
    _evidence(alert.evidence)
    _history(alert)
    _told(alert)


def _buttons(alert: AlertDetail) -> None:
    if alert.acknowledged_by and alert.acknowledged_at:
        ui.label(f"Answered by {alert.acknowledged_by} {ago(alert.acknowledged_at, desk.now())}.")
    if alert.state == "resolved" or desk.visitor().role.rank < Role.CLINICIAN.rank:
        return
    with ui.element("div").classes("buttons"):
        if alert.acknowledged_at is None:
            ui.button("Acknowledge", color=None, on_click=lambda: answering.acknowledge(alert.id)).classes(
                "action"
            ).props("no-caps unelevated")
        if alert.state == "latched":
            ui.button("Reset", color=None, on_click=lambda: answering.reset(alert.id)).classes("action").props(
                "no-caps unelevated"
            )
        ui.button("Shelve", color=None, on_click=lambda: answering.shelve(alert.id)).classes("quiet").props(
            "no-caps flat"
        )
        ui.link("To print", f"/api/v1/alerts/{alert.id}/report", new_tab=True).classes("self-center")


def _evidence(evidence: dict[str, Any]) -> None:
    ui.html("<h2>Why</h2>", sanitize=False)
    readings = evidence.get("readings") or {}
    at, flow, program = (readings.get(name, []) for name in ("measured_at", "flow_ml_d", "program_ml_d"))
    if at and len(at) == len(flow) == len(program):
        options = charts.evidence(at, flow, program)
        ui.echart(options).classes("chart").props('role="img" aria-label="The readings that decided"')
    numbers = {name: value for name, value in evidence.items() if isinstance(value, int | float | str)}
    with ui.expansion("Limits and statistics that decided"), ui.element("table").classes("plain"):
        for name, value in numbers.items():
            with ui.element("tr"):
                _cell(name)
                _cell(f"{value:g}" if isinstance(value, float) else str(value))


def _history(alert: AlertDetail) -> None:
    ui.html("<h2>What happened</h2>", sanitize=False)
    with ui.element("div").classes("scroll"), ui.element("table").classes("plain"):
        for entry in alert.history:
            with ui.element("tr"):
                _cell(f"{entry.at:%Y-%m-%d %H:%M:%S} UTC")
                _cell(_WORDS.get(entry.event, entry.event.replace("_", " ")))
                _cell(entry.actor)
                _cell(entry.note)


def _told(alert: AlertDetail) -> None:
    ui.html("<h2>Who was told</h2>", sanitize=False)
    if not alert.notifications:
        ui.label("Nobody.").classes("state-unknown")
        return
    with ui.element("div").classes("scroll"), ui.element("table").classes("plain"):
        for told in alert.notifications:
            with ui.element("tr"):
                _cell(f"{told.created_at:%H:%M:%S} UTC")
                _cell(told.endpoint)
                _cell(told.kind.replace("_", " "))
                _cell(told.state, {"delivered": "state-good", "failed": "state-high"}.get(told.state, "state-unknown"))
                _cell(f"{len(told.attempts)} requests" if len(told.attempts) != 1 else "1 request")


def _cell(text: str, classes: str = "") -> None:
    with ui.element("td"):
        ui.label(text).classes(classes)
