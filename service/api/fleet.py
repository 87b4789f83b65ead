"""How is the fleet? The latest of every pump as columns, and how many are in which state."""

import asyncio
import contextlib
import math
import time
from datetime import datetime
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api import cursor
from service.api.columns import Told, as_it_is, columns_of, each, rounded
from service.api.context import WORD, Context, Ctx, Cursor, Database, Viewer
from service.api.direct import Direct
from service.core.census import State, census
from service.core.change import Condition
from service.core.reading import Mode, boot_of, seq_of
from service.core.verdicts import Verdict
from service.postgres import fleet as store
from service.postgres.accounts import Account

router = APIRouter(prefix="/fleet", tags=["fleet"], route_class=Direct)

_MODES: Final = {mode.value: mode.name.lower() for mode in Mode}


_COLUMNS: Final[dict[str, tuple[str, Told]]] = {
    "pump_id": ("pump_id", as_it_is),
    "received_at": ("received_at", as_it_is),
    "measured_at": ("measured_at", as_it_is),
    "boot": ("position", each(boot_of)),
    "seq": ("position", each(seq_of)),
    "mode": ("mode", each(_MODES.__getitem__)),
    "program_ml_d": ("program_ml_d", rounded(4)),
    "flow_ml_d": ("flow_ml_d", rounded(4)),
    "reservoir_ml": ("reservoir_ml", rounded(3)),
    "battery_v": ("battery_v", rounded(3)),
}


class LatestColumns(BaseModel):
    """Equally long lists: the i-th of each is the i-th pump's."""

    pump_id: list[str] = Field(examples=[["p000017"]])
    received_at: list[datetime] = Field(description="Our clock.")
    measured_at: list[datetime] = Field(description="The pump's clock, corrected by its offset.")
    boot: list[int]
    seq: list[int]
    mode: list[str] = Field(examples=[["running"]])
    program_ml_d: list[float]
    flow_ml_d: list[float]
    reservoir_ml: list[float]
    battery_v: list[float]


class LatestPage(BaseModel):
    columns: LatestColumns
    next_cursor: str | None


@router.get("/latest", response_model=LatestPage)
async def list_latest(
    *,
    connection: Database,
    account: Viewer,
    site: Annotated[str | None, Query(pattern=WORD)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Pumps on a page.")] = 1000,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> Response:
    """The last reading of every pump that has sent one, in the order of their ids."""
    after = cursor.decode(page, cursor.AfterPump) if page else cursor.AfterPump()
    sites = account.seen if site is None else [site] if account.sees(site) else []
    rows = await store.latest(connection, after=after.pump_id, sites=sites, limit=limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    body = {"columns": columns_of(rows, _COLUMNS), "next_cursor": cursor.encode(rows[-1]["pump_id"]) if more else None}
    return Response(msgspec.json.encode(body), media_type="application/json")


class OpenAlerts(BaseModel):
    priority: str
    state: str
    alerts: int
    unanswered: int = Field(description="Those that nobody has acknowledged.")


class SiteStatistics(BaseModel):
    site: str | None = Field(description="Null: pumps that nobody has registered.")
    pumps: int
    states: dict[State, int]
    pumps_holding: int = Field(description="Of which some condition holds.")


class Statistics(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "at": "2026-11-22T20:30:00Z",
                    "pumps": 2,
                    "registered": 2,
                    "states": {"heard": 1, "silent": 1},
                    "verdicts": {"stall": {"holds": 1, "unknown": 1}},
                    "sites": [{"site": "north", "pumps": 2, "states": {"heard": 1, "silent": 1}, "pumps_holding": 1}],
                    "open_alerts": [{"priority": "high", "state": "active", "alerts": 2, "unanswered": 1}],
                    "readings_expected_per_s": 0.0333,
                    "longest_unheard_at": "2026-11-22T19:12:46Z",
                }
            ]
        }
    )
    at: datetime
    pumps: int
    registered: int
    states: dict[State, int] = Field(description="Every pump is in one.")
    verdicts: dict[Condition, dict[Verdict, int]]
    sites: list[SiteStatistics]
    open_alerts: list[OpenAlerts]
    readings_expected_per_s: float = Field(
        description="What the pumps heard in the last five minutes say, if each keeps to its `interval_s`."
    )
    longest_unheard_at: datetime | None = Field(
        description="When the pump in service was heard that is silent longest."
    )


NEW_FOR_S: Final = 2.0
SHOWN_FOR_S: Final = 10.0


class Figures:
    """The last statistics: they cost a look at every pump, and many look at them at once."""

    def __init__(self) -> None:
        self._busy = asyncio.Lock()
        self._last: dict[frozenset[str] | None, tuple[float, Statistics]] = {}
        self._renewing: asyncio.Task[None] | None = None

    async def get(self, context: Context, account: Account) -> Statistics:
        """Return those of the sites that the account sees. Who asks often is not made to wait: they are counted again
        while those of some seconds ago are shown.
        """
        age_s = self._age_s(account)
        if age_s > SHOWN_FOR_S:
            await self._renew(context, account)
        elif age_s > NEW_FOR_S and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.create_task(self._try(context, account))
        return self._last[account.sites][1]

    def _age_s(self, account: Account) -> float:
        kept = self._last.get(account.sites)
        return math.inf if kept is None else time.monotonic() - kept[0]

    async def _try(self, context: Context, account: Account) -> None:
        # If it cannot be done now, whoever asks when these are too old is told why.
        with contextlib.suppress(Exception):
            await self._renew(context, account)

    async def _renew(self, context: Context, account: Account) -> None:
        async with self._busy:
            if self._age_s(account) <= NEW_FOR_S:
                return
            now, now_s = context.clock(), time.monotonic()
            async with context.database() as connection:
                found = await store.fleet(connection, context.rulebook, now, account.seen)
            self._last = {sites: kept for sites, kept in self._last.items() if now_s - kept[0] <= SHOWN_FOR_S}
            self._last[account.sites] = now_s, _counted(found, now)


@router.get("/statistics")
async def statistics(context: Ctx, request: Request, account: Viewer) -> Statistics:
    """How many pumps are in which state, of how many which condition holds, and how much they say; as of `at`, a few
    seconds ago at most.
    """
    figures: Figures = request.app.state.figures
    return await figures.get(context, account)


def _counted(found: store.Fleet, now: datetime) -> Statistics:
    counted = census(found.groups, now)
    return Statistics(
        at=now,
        pumps=counted.pumps,
        registered=counted.registered,
        states=counted.states,
        verdicts={condition: dict(verdicts) for condition, verdicts in counted.verdicts.items()},
        sites=[
            SiteStatistics(site=name or None, pumps=site.pumps, states=site.states, pumps_holding=site.holding)
            for name, site in sorted(counted.sites.items())
        ],
        open_alerts=[OpenAlerts(**row) for row in found.open_alerts],
        readings_expected_per_s=round(found.readings_expected_per_s, 4),
        longest_unheard_at=counted.longest_unheard_at,
    )
