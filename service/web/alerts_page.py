"""What is wrong now, and who has answered? Open alerts, the most urgent first, live, each answered in two clicks."""

from collections.abc import Sequence
from typing import Final

import asyncpg
from nicegui import ui

from service.api.live import Wanted
from service.postgres import alert_queries
from service.postgres.accounts import Role
from service.web import answering, desk, frame
from service.web.words import SHAPES, ago, condition

MOST: Final = 500
_RANK: Final = {"high": 0, "medium": 1, "low": 2}
_BEEP: Final = """
const audio = new (window.AudioContext || window.webkitAudioContext)();
const tone = audio.createOscillator(); const loud = audio.createGain();
tone.frequency.value = 660; loud.gain.value = 0.2; tone.connect(loud); loud.connect(audio.destination);
tone.start(); tone.stop(audio.currentTime + 0.35);
"""


def add() -> None:
    ui.page("/", title="Alerts · pumpwatch")(_page)


async def _page() -> None:
    known: set[object] = set()
    with frame.page("Alerts", "/"):
        with ui.row().classes("items-center justify-between w-full"):
            ui.html("<h1>Alerts</h1>", sanitize=False)
            sound = ui.switch("Sound for high priority")

        @ui.refreshable
        async def listed() -> None:
            rows = await _open()
            _show(rows)
            urgent = {row["id"] for row in rows if row["priority"] == "high" and row["acknowledged_at"] is None}
            if sound.value and urgent - known:
                ui.run_javascript(_BEEP)
            known.update(urgent)

        await listed()

    async def again() -> None:
        await listed.refresh()

    frame.follow(Wanted(frozenset({"alert"})), again)
    ui.timer(30.0, listed.refresh)  # ages are words


async def _open() -> list[asyncpg.Record]:
    visitor = desk.visitor()
    async with desk.database() as connection:
        rows = await alert_queries.alerts(
            connection,
            after=None,
            states=["active", "latched"],
            pump_id=None,
            conditions=None,
            priorities=None,
            since=None,
            limit=MOST,
        )
    seen = [row for row in rows if visitor.sees(row["site"])]
    return sorted(seen, key=lambda row: (_RANK[row["priority"]], row["raised_at"]))


def _show(rows: Sequence[asyncpg.Record]) -> None:
    quiet = [row for row in rows if row["inhibited_by"] or row["shelved_until"]]
    asking = [row for row in rows if row not in quiet and row["acknowledged_at"] is None]
    answered = [row for row in rows if row not in quiet and row["acknowledged_at"] is not None]
    for title, some, nothing in (
        (f"Nobody has answered: {len(asking)}", asking, "Nothing asks for an answer."),
        (f"Somebody has answered: {len(answered)}", answered, ""),
        (f"Shelved, or told with another: {len(quiet)}", quiet, ""),
    ):
        if some or nothing:
            ui.html(f"<h2>{title}</h2>", sanitize=False)
        for row in some:
            _row(row)
        if not some and nothing:
            ui.label(nothing).classes("empty")
    if len(rows) == MOST:
        ui.label(f"The newest {MOST} are shown.").classes("faint")


def _row(row: asyncpg.Record) -> None:
    priority, alert_id = row["priority"], row["id"]
    name = row["pump_id"] or row["subject"].partition(":")[2]
    classes = f"alert-row {priority}" + ("" if row["acknowledged_at"] is None else " answered")
    with ui.element("article").classes(classes).props(f'data-alert="{alert_id}"'):
        ui.label(f"{SHAPES[priority]} {priority}").classes(f"priority {priority}")
        with ui.element("div"):
            ui.link(f"{condition(row['condition'])}, {name}", f"/alerts/{alert_id}").classes("text-weight-bold")
            ui.label(_about(row)).classes("faint")
        with ui.element("div").classes("buttons"):
            if row["acknowledged_at"] is None and desk.visitor().role.rank >= Role.CLINICIAN.rank:
                ui.button("Acknowledge", color=None, on_click=lambda: answering.acknowledge(alert_id)).classes(
                    "action"
                ).props(f'no-caps unelevated aria-label="Acknowledge {condition(row["condition"])}, {name}"')


def _about(row: asyncpg.Record) -> str:
    now = desk.now()
    parts = [f"raised {ago(row['raised_at'], now)}"]
    if row["site"]:
        parts.append(f"site {row['site']}")
    if row["state"] == "latched":
        parts.append("over; waits for somebody to reset it")
    if row["acknowledged_by"]:
        parts.append(f"answered by {row['acknowledged_by']} {ago(row['acknowledged_at'], now)}")
    if row["shelved_until"]:
        parts.append(f"shelved until {row['shelved_until']:%H:%M} UTC: {row['shelf_reason']}")
    if row["inhibited_by"]:
        parts.append("told with another alert")
    if row["chattering"]:
        parts.append("comes and goes")
    if row["simulated"]:
        parts.append("simulated pump")
    return " · ".join(parts)
