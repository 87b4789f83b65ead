"""How is everybody? The fleet, the most urgent first, in pages; what is chosen stands in the address."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

import asyncpg
from fastapi import Query
from nicegui import ui
from nicegui.events import GenericEventArguments

from service.api.live import Wanted
from service.core.change import NOT_OF_A_PUMP, Condition
from service.postgres import fleet_page as store
from service.postgres import overview
from service.postgres.fleet_page import Chosen
from service.web import desk, frame
from service.web.fleet_table import FleetTable, row_of
from service.web.words import condition

ROWS: Final = 100
VALUES_EVERY_S: Final = 0.5
ORDER_EVERY_S: Final = 10.0
SHARES_EVERY_S: Final = 300.0
_STATES: Final = {
    "": "in service",
    "open": "with an open alert",
    "unknown": "unknown: not heard",
    "fine": "heard, no alert",
    "out": "out of service",
}
_LOW: Final = {"": "any", "2": "2 days", "5": "5 days", "14": "14 days", "30": "30 days"}
_CONDITIONS: Final = {each.value: condition(each) for each in Condition if each not in NOT_OF_A_PUMP}


def add() -> None:
    frame.at("/pumps", title="Fleet · pumpwatch", reconnect_timeout=frame.KEPT_S)(_page)


@dataclass
class Asked:
    """What the address says, as it stands in it."""

    q: str = ""
    site: str = ""
    state: str = ""
    verdict: str = ""
    low: str = ""
    sort: str = "urgency"
    page: int = 1

    def __post_init__(self) -> None:
        self.state = self.state if self.state in _STATES else ""
        self.verdict = self.verdict if self.verdict in _CONDITIONS else ""
        self.low = self.low if self.low in _LOW else ""
        self.sort = self.sort if self.sort in store.SORTS else "urgency"

    def chosen(self, sites: Sequence[str] | None) -> Chosen:
        return Chosen(
            q=self.q.strip(),
            site=self.site or None,
            state=self.state,
            holding=self.verdict or None,
            low_in_d=float(self.low) if self.low else None,
            sites=sites,
            sort=self.sort,
            skip=(self.page - 1) * ROWS,
            limit=ROWS,
        )

    def in_address(self) -> Mapping[str, object]:
        usual = Asked()
        return {name: value for name, value in vars(self).items() if value != getattr(usual, name)}


async def _page(
    *,
    q: Annotated[str, Query(max_length=64)] = "",
    site: Annotated[str, Query(max_length=64)] = "",
    state: Annotated[str, Query(max_length=10)] = "",
    verdict: Annotated[str, Query(max_length=40)] = "",
    low: Annotated[str, Query(max_length=4)] = "",
    sort: Annotated[str, Query(max_length=10)] = "urgency",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> None:
    visitor = desk.visitor()
    asked = Asked(q, site, state, verdict, low, sort, page)
    view = _View(asked, None if visitor.sites is None else sorted(visitor.sites))
    async with desk.database() as connection:
        sites = [one for one in await overview.sites(connection) if visitor.sees(one)]
        await view.read(connection)
    with frame.page("Fleet", "/pumps"):
        ui.html("<h1>Fleet</h1>", sanitize=False)
        _filters(view, sites)
        view.draw()
    frame.follow(Wanted(frozenset({"alert", "verdict"})), view.order_changed)
    ui.timer(VALUES_EVERY_S, view.again, immediate=False)
    ui.timer(0, view.shares_of_those_shown, once=True)


@dataclass
class _View:
    """What one visitor sees: the order is read anew when alerts change, the values of those shown every second."""

    asked: Asked
    sites: Sequence[str] | None
    rows: list[asyncpg.Record] = field(default_factory=list)
    shares: dict[int, list[float | None]] = field(default_factory=dict)
    total: int = 0
    _next_order: float = 0.0
    _next_shares: float = 0.0

    async def read(self, connection: asyncpg.Connection) -> None:
        rulebook, now = desk.context().rulebook, desk.now()
        self.rows = await store.pumps(connection, self.asked.chosen(self.sites), rulebook, now)
        if not self.rows and self.asked.page > 1:  # there are fewer by now
            self.asked.page = 1
            self.rows = await store.pumps(connection, self.asked.chosen(self.sites), rulebook, now)
        self.total = self.rows[0]["total"] if self.rows else 0
        self._next_order = time.monotonic() + ORDER_EVERY_S

    def draw(self) -> None:
        self._count = ui.label().props('role="status"').classes("faint count")
        self._table = FleetTable(self._made(), self.asked.sort)
        self._table.on("sort", self._sort)
        with ui.element("nav").classes("buttons start").props('aria-label="Pages of the table"') as self._pages:
            self._before = ui.button("Those before", color=None, on_click=lambda: self._turn(-1)).classes("quiet")
            self._after = ui.button("Those after", color=None, on_click=lambda: self._turn(1)).classes("quiet")
            for each in (self._before, self._after):
                each.props("no-caps flat")
        self._show()

    def _made(self) -> list[Mapping[str, object]]:
        return [row_of(row, self.shares.get(row["pump"])) for row in self.rows]

    def _show(self) -> None:
        self._table.show(self._made())
        first = (self.asked.page - 1) * ROWS
        part = (
            f", of which these are {first + 1:,} to {first + len(self.rows):,}" if self.total > len(self.rows) else ""
        )
        self._count.text = f"{self.total:,} pumps{part}"
        self._before.visible = self.asked.page > 1
        self._after.visible = self.total > first + len(self.rows)
        self._pages.visible = self._before.visible or self._after.visible

    async def again(self) -> None:
        async with desk.database() as connection:
            if time.monotonic() >= self._next_order:
                await self.read(connection)
            else:
                keys = [row["pump"] for row in self.rows]
                found = await store.named(connection, keys, desk.context().rulebook, desk.now())
                self.rows = [found.get(row["pump"], row) for row in self.rows]
        self._show()
        if time.monotonic() >= self._next_shares:
            await self.shares_of_those_shown()

    async def order_changed(self) -> None:
        async with desk.database() as connection:
            await self.read(connection)
        self._show()

    async def shares_of_those_shown(self) -> None:
        """A day of flow costs more than all the rest: it comes when the table can be read already, and not often."""
        self._next_shares = time.monotonic() + SHARES_EVERY_S
        async with desk.database() as connection:
            self.shares = await store.flow_of_a_day(connection, [row["pump"] for row in self.rows], desk.now())
        self._show()

    async def choose(self, **chosen: str) -> None:
        for name, value in chosen.items():
            setattr(self.asked, name, value)
        self.asked.page = 1
        await self._go()

    async def _sort(self, wanted: GenericEventArguments) -> None:
        await self.choose(sort=wanted.args if wanted.args in store.SORTS else "urgency")

    async def _turn(self, by: int) -> None:
        self.asked.page = max(self.asked.page + by, 1)
        await self._go()
        ui.run_javascript("scrollTo({top: 0})")

    async def _go(self) -> None:
        frame.put_into_address("/pumps", self.asked.in_address())
        await self.order_changed()
        await self.shares_of_those_shown()


def _filters(view: _View, sites: Sequence[str]) -> None:
    asked = view.asked
    with ui.element("div").classes("filters"):
        q = ui.input("Part of the id", value=asked.q).props("outlined dense maxlength=64 type=search debounce=300")
        place = ui.select({"": "all", **{one: one for one in sites}}, value=asked.site, label="Site")
        state = ui.select(dict(_STATES), value=asked.state, label="State")
        verdict = ui.select({"": "any", **_CONDITIONS}, value=asked.verdict, label="What holds")
        low = ui.select(dict(_LOW), value=asked.low, label="May be empty within")

    async def chosen() -> None:
        await view.choose(q=q.value or "", site=place.value, state=state.value, verdict=verdict.value, low=low.value)

    for each in (q, place, state, verdict, low):
        each.on_value_change(chosen)
    for select in (place, state, verdict, low):
        select.props("outlined dense options-dense")
