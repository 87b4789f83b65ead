"""What is this alert, why is it there, who was told, who has answered? And the buttons to answer it."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from nicegui import ui

from service.api import series
from service.api.alert_models import AlertDetail, Told
from service.api.live import Wanted
from service.api.problems import Problem
from service.core.alert import AlertState
from service.core.answers import NEVER_SHELVED
from service.core.sentences import what_evidence_says
from service.postgres import queries
from service.postgres.accounts import Role
from service.web import answering, charts, desk, evidence_chart, frame
from service.web.tables import Cell, TextTable
from service.web.words import SHAPES, ago, condition, dose

POINTS: Final = 400
_WORDS: Final = {"condition_began": "began", "condition_ended": "was over", "priority_rose": "became more urgent"}
_TOLD: Final = {"delivered": "state-good", "failed": "state-high"}


def add() -> None:
    frame.at("/alerts/{alert_id}", reconnect_timeout=frame.KEPT_S)(_page)


async def _page(alert_id: UUID) -> None:
    try:
        alert = await answering.the_alert(alert_id)
    except Problem as problem:
        with frame.page("Alert"):
            ui.html("<h1>No such alert</h1>", sanitize=False)
            frame.refused(problem)
        return
    with frame.page(condition(alert.condition)):
        shown = _Shown(alert)
        await shown.show(alert)

    async def again() -> None:
        await shown.show(await answering.the_alert(alert_id))

    frame.follow(Wanted(frozenset({"alert"})), again)
    ui.timer(15.0, again)  # what came of telling somebody is no change of the alert


class _Shown:
    """The page, made once; afterwards only what has changed is said anew."""

    def __init__(self, alert: AlertDetail) -> None:
        self._evidence: dict[str, Any] | None = None
        name = alert.pump_id or alert.subject.partition(":")[2]
        with ui.element("div").classes("alert-row") as self._head:
            self._priority = ui.label()
            with ui.element("div"):
                with ui.element("h1"):
                    ui.label(f"{condition(alert.condition)}, {name}")
                self._what = ui.label().classes("what")
                self._state = ui.label().classes("faint")
                self._answered = ui.label().classes("answer")
        ui.label(f"What to do now: {alert.do_now}").classes("do-now")
        self._programmed = ui.label()
        self._buttons = _Buttons(alert)
        with ui.row().classes("links"):
            if alert.pump_id:
                ui.link(f"Everything about {alert.pump_id}", f"/pumps/{alert.pump_id}")
            if alert.previous_id:
                ui.link("The episode before", f"/alerts/{alert.previous_id}")
            ui.link("To print", f"/api/v1/alerts/{alert.id}/report", new_tab=True)
        with ui.element("section"):
            ui.html("<h2>Why</h2>", sanitize=False)
            self._chart = ui.echart({}).classes("chart")
            self._crossed = TextTable("What was judged", "Value", "Limit", empty="")
            with ui.expansion("Everything that was kept of why"):
                self._numbers = TextTable("What", "Value", "Means", empty="")
        with ui.element("div").classes("beside"):
            with ui.element("section"):
                ui.html("<h2>What happened</h2>", sanitize=False)
                self._history = TextTable("When (UTC)", "What", "Who", "Note")
            with ui.element("section"):
                ui.html("<h2>Who was told</h2>", sanitize=False)
                self._told = TextTable("When (UTC)", "Who", "Of what", "What came of it", empty="Nobody.")

    async def show(self, alert: AlertDetail) -> None:
        now = desk.now()
        self._head.classes(replace=f"alert-row head {alert.priority}")
        self._priority.text = f"{SHAPES[alert.priority]} {alert.priority}"
        self._priority.classes(replace=f"priority {alert.priority}")
        self._what.text = what_evidence_says(alert.condition, alert.evidence, now)
        self._state.text = " · ".join(_state(alert, now))
        by, at = alert.acknowledged_by, alert.acknowledged_at
        self._answered.text = f"Answered by {by} {ago(at, now)}" if at else ""
        self._buttons.show(alert)
        rows = [(f"{e.at:%Y-%m-%d %H:%M:%S}", _happened(e.event), e.actor, e.note) for e in alert.history]
        self._history.show(rows)
        self._told.show([_told(told) for told in alert.notifications])
        if alert.evidence != self._evidence:
            self._evidence = alert.evidence
            await self._why(alert)

    async def _why(self, alert: AlertDetail) -> None:
        self._crossed.show(evidence_chart.crossed(alert.condition, alert.evidence))
        self._numbers.show(evidence_chart.numbers(alert.condition, alert.evidence))
        readings = alert.evidence.get("readings") or {}
        quantity = evidence_chart.quantity_of(alert.condition)
        around, pump = await _around(alert, quantity.name)
        self._programmed.text = _programmed(alert, pump)
        self._programmed.visible = bool(self._programmed.text)
        self._chart.visible = bool(around or readings.get("measured_at"))
        if not self._chart.visible:
            return
        limits = evidence_chart.limit_lines(alert.condition, alert.evidence, pump["flow_channel"] if pump else "")
        seen = (alert.began_at, alert.detected_at)
        self._chart.props["options"] = evidence_chart.chart(around, readings, quantity, limits, seen)
        said = f"{quantity.title} around the onset at {alert.began_at:%Y-%m-%d %H:%M} UTC"
        self._chart.props(f'role="img" aria-label="{said}"')


def _state(alert: AlertDetail, now: datetime) -> list[str]:
    found = [f"raised {ago(alert.raised_at, now)}", f"site {alert.site}" if alert.site else "no site"]
    if alert.state is not AlertState.ACTIVE:
        over = f"over since {ago(alert.state_since, now).removesuffix(' ago')}"
        found.append(f"{over}; waits for somebody to reset it" if alert.state is AlertState.LATCHED else over)
    if alert.shelved_until:
        found.append(f"shelved until {alert.shelved_until:%H:%M} UTC by {alert.shelved_by}: {alert.shelf_reason}")
    if alert.chattering:
        found.append("comes and goes")
    if alert.simulated:
        found.append("simulated pump")
    return found


def _happened(event: str) -> str:
    return _WORDS.get(event, event.replace("_", " "))


def _told(told: Told) -> tuple[Cell | str, ...]:
    requests = len(told.attempts)
    came = f"{told.state}, {requests} request{'' if requests == 1 else 's'}"
    if told.settled_at and told.state == "delivered":
        came += f", after {(told.settled_at - told.created_at).total_seconds():.1f} s"
    kind = told.kind.replace("_", " ")
    return f"{told.created_at:%H:%M:%S}", told.endpoint, kind, Cell(came, _TOLD.get(told.state, "state-unknown"))


class _Buttons:
    """What can be done to it, by whoever may."""

    def __init__(self, alert: AlertDetail) -> None:
        self._may = desk.visitor().role.rank >= Role.CLINICIAN.rank
        with ui.element("div").classes("buttons start") as self._all:
            self._acknowledge = _button("Acknowledge", "action", lambda: answering.acknowledge(alert.id))
            self._reset = _button("Reset", "action", lambda: answering.reset(alert.id))
            self._shelve = _button("Shelve", "quiet", lambda: answering.shelve(alert.id))
            self._unshelve = _button("Unshelve", "quiet", lambda: answering.unshelve(alert.id))

    def show(self, alert: AlertDetail) -> None:
        self._all.visible = self._may and alert.state is not AlertState.RESOLVED
        self._acknowledge.visible = alert.acknowledged_at is None
        self._reset.visible = alert.state is AlertState.LATCHED
        self._shelve.visible = alert.shelved_until is None and alert.condition not in NEVER_SHELVED
        self._unshelve.visible = alert.shelved_until is not None


def _button(label: str, classes: str, do: Any) -> ui.button:
    return ui.button(label, color=None, on_click=do).classes(classes).props("no-caps unelevated")


def _programmed(alert: AlertDetail, pump: asyncpg.Record | None) -> str:
    """The dose beside the volume, where both are known."""
    program_ml_d = evidence_chart.program_of(alert.evidence)
    if not program_ml_d or pump is None or pump["concentration_ug_ml"] is None:
        return ""
    return f"Programmed: {dose(program_ml_d, pump['concentration_ug_ml'])}, as the registry has the pump's filling now"


async def _around(alert: AlertDetail, name: str) -> tuple[list[charts.Point], asyncpg.Record | None]:
    """What was measured before and after, and the pump; nothing where it is about none."""
    if alert.pump_id is None:
        return [], None
    since, until = evidence_chart.span_of(alert.began_at, alert.detected_at)
    async with desk.database() as connection:
        pump = await queries.pump(connection, alert.pump_id)
        answer = await series.get_series(
            context=desk.context(),
            connection=connection,
            pump_id=alert.pump_id,
            since=since,
            until=until,
            points=POINTS,
            resolution=None,
        )
    drawn = msgspec.json.decode(bytes(answer.body))
    at = [datetime.fromisoformat(each) for each in drawn["columns"]["at"]]
    gaps = [{name: datetime.fromisoformat(at) for name, at in gap.items()} for gap in drawn["gaps"]]
    points = charts.line_with_gaps(at, drawn["columns"][f"{name}_mean"], gaps)
    return points, pump
