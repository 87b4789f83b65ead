"""How is everybody? The fleet, the most urgent first, in pages; what is chosen stands in the address."""

from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import asyncpg
from fastapi import Query
from nicegui import ui

from service.core.reading import Mode
from service.postgres import overview
from service.postgres.overview import Chosen
from service.web import desk, frame
from service.web.words import SHAPES, ago

ROWS: Final = 200
AGAIN_S: Final = 2.0
_STATES: Final = {"": "all", "open": "with an open alert", "silent": "silent", "low": "running empty", "fine": "fine"}
_COLUMNS: Final = (
    ("pump", "Pump"),
    ("alert", "Open alert"),
    ("site", "Site"),
    ("state", "State"),
    ("flow", "Flow of program"),
    ("reservoir", "Reservoir"),
    ("empty", "Days to empty"),
    ("battery", "Battery"),
    ("heard", "Last heard"),
)


def add() -> None:
    ui.page("/pumps", title="Fleet · pumpwatch")(_page)


async def _page(
    q: Annotated[str, Query(max_length=64)] = "",
    site: Annotated[str, Query(max_length=64)] = "",
    state: Annotated[str, Query(max_length=10)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> None:
    visitor = desk.visitor()
    chosen = Chosen(
        q=q,
        site=site or None,
        state=state if state in _STATES else "",
        sites=None if visitor.sites is None else sorted(visitor.sites),
        skip=(page - 1) * ROWS,
        limit=ROWS,
    )
    async with desk.database() as connection:
        sites = [one for one in await overview.sites(connection) if visitor.sees(one)]
        rows = await overview.pumps(connection, chosen, desk.now())
    with frame.page("Fleet", "/pumps"):
        ui.html("<h1>Fleet</h1>", sanitize=False)
        _filters(chosen, sites)
        count = ui.label().props('aria-live="polite"').classes("faint")
        table = (
            ui.table(
                columns=[{"name": n, "label": label, "field": n, "align": "left"} for n, label in _COLUMNS],
                rows=[],
                row_key="pump",
            )
            .classes("w-full")
            .props("flat dense wrap-cells")
        )
        table.add_slot(
            "body-cell-pump", '<q-td :props="props"><a :href="\'/pumps/\' + props.value">{{ props.value }}</a></q-td>'
        )
        _pages(chosen, page, rows)

    def show(found: list[asyncpg.Record]) -> None:
        now = desk.now()
        made = [_row(row, now) for row in found]
        if made != table.rows:
            table.rows = made
            table.update()
        total = found[0]["total"] if found else 0
        count.text = f"{total:,} pumps" + (f", of which these are {len(found)}" if total > len(found) else "")

    async def again() -> None:
        async with desk.database() as connection:
            show(await overview.pumps(connection, chosen, desk.now()))

    show(rows)
    ui.timer(AGAIN_S, again)


def _filters(chosen: Chosen, sites: list[str]) -> None:
    def go() -> None:
        ui.navigate.to(_address(q.value or "", place.value or "", state.value or ""))

    with ui.element("div").classes("filters"):
        q = ui.input("Part of the id", value=chosen.q).props("outlined dense maxlength=64").on("keydown.enter", go)
        place = ui.select({"": "all", **{one: one for one in sites}}, value=chosen.site or "", label="Site").props(
            "outlined dense"
        )
        state = ui.select(dict(_STATES), value=chosen.state, label="State").props("outlined dense")
        ui.button("Show", color=None, on_click=go).classes("action").props("no-caps unelevated")


def _pages(chosen: Chosen, page: int, rows: list[asyncpg.Record]) -> None:
    total = rows[0]["total"] if rows else 0
    here = _address(chosen.q, chosen.site or "", chosen.state)
    with ui.row():
        if page > 1:
            ui.link("Those before", f"{here}&page={page - 1}")
        if total > page * ROWS:
            ui.link("Those after", f"{here}&page={page + 1}")


def _address(q: str, site: str, state: str) -> str:

    return f"/pumps?{urlencode({'q': q, 'site': site, 'state': state})}"


def _row(row: asyncpg.Record, now: datetime) -> dict[str, Any]:
    worst, program = row["worst"], row["program_ml_d"]
    return {
        "pump": row["pump_id"],
        "alert": f"{SHAPES[worst]} {worst}: {row['conditions'].replace('_', ' ')}" if worst else "",
        "site": row["site"] or "none",
        "state": _state(row),
        "flow": f"{row['flow_ml_d'] / program:.0%}" if program else "unknown",
        "reservoir": "unknown" if row["reservoir_ml"] is None else f"{row['reservoir_ml']:.1f} mL",
        "empty": "unknown" if row["empty_d"] is None else f"{row['empty_d']:.1f}",
        "battery": "unknown" if row["battery_v"] is None else f"{row['battery_v']:.2f} V",
        "heard": ago(row["received_at"], now),
    }


def _state(row: asyncpg.Record) -> str:
    if row["received_at"] is None:
        return "never heard"
    if row["silent"]:
        return "silent: unknown"
    return "unknown" if row["mode"] is None else Mode(row["mode"]).name.lower()
