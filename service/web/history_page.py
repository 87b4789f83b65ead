"""Which alerts are over? The newest first, of some days, of all pumps or of one; each leads to what came of it."""

from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

import asyncpg
from fastapi import Query
from nicegui import ui

from service.core.wording import span
from service.postgres import alert_queries
from service.web import desk, frame
from service.web.tables import Cell, TextTable
from service.web.words import SHAPES, condition

MOST: Final = 500
DAYS: Final = {1: "Day", 7: "Week", 30: "Month", 365: "Year"}
USUAL_DAYS: Final = 7


def add() -> None:
    frame.at("/history", title="What is over · pumpwatch", reconnect_timeout=frame.KEPT_S)(_page)


async def _page(
    days: Annotated[int, Query(ge=1, le=3650)] = USUAL_DAYS, pump: Annotated[str, Query(max_length=64)] = ""
) -> None:
    rows = await _over(timedelta(days=days), pump or None)
    with frame.page("What is over", "/history"):
        with ui.element("h1"):
            ui.label(f"What is over: {pump}" if pump else "What is over")
        with ui.element("nav").classes("filters").props('aria-label="How far back"'):
            for each, name in DAYS.items():
                query = urlencode({"days": each} | ({"pump": pump} if pump else {}))
                ui.link(name, f"/history?{query}").props('aria-current="true"' if each == days else "")
        head = ("Raised (UTC)", "Priority", "Alert", "Site", "Lasted", "Answered")
        TextTable(*head, empty="Nothing that is over was raised in this time.").show([_told(row) for row in rows])
        if len(rows) == MOST:
            ui.label(f"The newest {MOST}.").classes("faint")


async def _over(back: timedelta, pump_id: str | None) -> list[asyncpg.Record]:
    async with desk.database() as connection:
        return await alert_queries.alerts(
            connection,
            after=None,
            states=["resolved"],
            pump_id=pump_id,
            conditions=None,
            priorities=None,
            since=desk.now() - back,
            seen=desk.visitor().seen,
            limit=MOST,
        )


def _told(row: asyncpg.Record) -> tuple[Cell | str, ...]:
    name = row["pump_id"] or row["subject"].partition(":")[2]
    priority, by = row["priority"], row["acknowledged_by"]
    answered = f"by {by} after {span(row['acknowledged_at'] - row['raised_at'])}" if by else "by nobody"
    return (
        f"{row['raised_at']:%Y-%m-%d %H:%M}",
        Cell(f"{SHAPES[priority]} {priority}", f"priority {priority}"),
        Cell(f"{condition(row['condition'])}, {name}", link=f"/alerts/{row['id']}"),
        row["site"] or "none",
        span(row["resolved_at"] - row["began_at"]),
        answered,
    )
