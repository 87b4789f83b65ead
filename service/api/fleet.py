"""How is the fleet? The latest of every pump as columns, and how many are in which state."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api import cursor
from service.api.columns import Told, as_it_is, columns_of, each, rounded
from service.api.context import WORD, Context, Ctx, Cursor, Database, Viewer
from service.api.direct import Direct
from service.api.shown import Shown
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


Figures = Shown[frozenset[str] | None, "Statistics"]
"""By the sites of which they are."""


def figures() -> Figures:
    return Figures(new_for_s=2.0, shown_for_s=10.0)


@router.get("/statistics")
async def statistics(context: Ctx, request: Request, account: Viewer) -> Statistics:
    """How many pumps are in which state, of how many which condition holds, and how much they say; as of `at`, a few
    seconds ago at most.
    """
    shown: Figures = request.app.state.figures
    return await shown.get(account.sites, lambda: _counted(context, account))


async def _counted(context: Context, account: Account) -> Statistics:
    now = context.clock()
    async with context.database() as connection:
        found = await store.fleet(connection, context.rulebook, now, account.seen)
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
