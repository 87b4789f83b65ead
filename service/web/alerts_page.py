"""What is wrong now, and who has answered? Open alerts, the most urgent first, live, each answered in two clicks."""

from collections.abc import Sequence
from typing import Annotated, Final

import asyncpg
from fastapi import Query
from nicegui import ui

from service.api.live import Wanted
from service.postgres import overview
from service.postgres.open_alerts import Chosen, open_alerts
from service.web import desk, frame
from service.web.alert_list import AlertList, row_of
from service.web.shared import Shared
from service.web.words import SHAPES

MOST: Final = 500
_PRIORITIES: Final = {"": "all", **{name: f"{shape} {name}" for name, shape in SHAPES.items()}}


def add() -> None:
    frame.at("/", title="Alerts · pumpwatch", reconnect_timeout=frame.KEPT_S)(_page)


async def _page(
    site: Annotated[str, Query(max_length=64)] = "", priority: Annotated[str, Query(max_length=10)] = ""
) -> None:
    visitor = desk.visitor()
    sees = None if visitor.sites is None else tuple(sorted(visitor.sites))
    chosen = Chosen(sees, site or None, priority if priority in SHAPES else None, MOST)
    async with desk.database() as connection:
        sites = [one for one in await overview.sites(connection) if visitor.sees(one)]
    found = await _ask(chosen)
    with frame.page("Alerts", "/"):
        ui.html("<h1>Alerts</h1>", sanitize=False)
        with ui.element("div").classes("filters"):
            place = ui.select({"": "all", **{one: one for one in sites}}, value=chosen.site or "", label="Site")
            urgency = ui.select(_PRIORITIES, value=chosen.priority or "", label="Priority")
            ui.link("What is over", "/history").classes("self-center")
        more = ui.label(_beyond(found)).classes("notice").props('role="status"')
        more.visible = bool(more.text)
        shown = AlertList([row_of(row, desk.now()) for row in found], whole=True)

    async def again() -> None:
        rows = await _ask(chosen)
        more.text = _beyond(rows)
        more.visible = bool(more.text)
        shown.show([row_of(row, desk.now()) for row in rows])

    async def choose() -> None:
        nonlocal chosen
        chosen = chosen._replace(site=place.value or None, priority=urgency.value or None)
        frame.put_into_address("/", {"site": place.value, "priority": urgency.value})
        await again()

    for each in (place, urgency):
        each.props("outlined dense").on_value_change(choose)
    frame.follow(Wanted(frozenset({"alert"})), again)
    ui.timer(30.0, again)  # what is shelved comes back by itself


async def _open(chosen: Chosen) -> list[asyncpg.Record]:
    async with desk.database() as connection:
        return await open_alerts(connection, chosen)


_ask: Final = Shared(_open)


def _beyond(rows: Sequence[asyncpg.Record]) -> str:
    total = rows[0]["total"] if rows else 0
    return f"{total:,} alerts are open. These are the {len(rows)} most urgent of them." if total > len(rows) else ""
