"""What does a chart of a pump show? Values over any span in any number of points; no spike is lost, gaps are gaps."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import pairwise
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.columns import Told, as_it_is, columns_of, each, rounded
from service.api.context import Ctx, Database, Instant, PumpId
from service.api.problems import answers, not_found, wrong_field
from service.core.reading import Mode
from service.core.resolution import Source, gap_after, plan
from service.postgres import series

router = APIRouter(prefix="/pumps/{pump_id}", tags=["readings"], responses=answers(HTTPStatus.NOT_FOUND))

MOST_POINTS: Final = 10_000
LONGEST: Final = timedelta(days=36_500)
_DAY: Final = timedelta(days=1)
_MODES: Final = {mode.value: mode.name.lower() for mode in Mode}
_DECIMALS: Final = {"program_ml_d": 4, "flow_ml_d": 4, "reservoir_ml": 3, "battery_v": 3}


# A mean keeps two decimals more than what it is the mean of.
_VALUES: Final[dict[str, tuple[str, Told]]] = {
    f"{name}_{what}": (f"{name}_{what}", rounded(decimals + 2 * (what == "mean")))
    for name, decimals in _DECIMALS.items()
    for what in ("min", "max", "mean")
}
_COLUMNS: Final[dict[str, tuple[str, Told]]] = {
    "at": ("at", as_it_is),
    "readings": ("readings", as_it_is),
    "first_measured_at": ("first_at", as_it_is),
    "last_measured_at": ("last_at", as_it_is),
    "mode_last": ("mode_last", each(_MODES.__getitem__)),
    **_VALUES,
}


class Span(BaseModel):
    from_at: datetime
    to_at: datetime


class SeriesColumns(BaseModel):
    """Equally long lists: the i-th of each is the i-th point. A point without readings is left out."""

    at: list[datetime] = Field(description="Where the point begins; of raw readings, when it was measured.")
    readings: list[int]
    first_measured_at: list[datetime]
    last_measured_at: list[datetime]
    mode_last: list[str]
    program_ml_d_min: list[float]
    program_ml_d_max: list[float]
    program_ml_d_mean: list[float]
    flow_ml_d_min: list[float]
    flow_ml_d_max: list[float]
    flow_ml_d_mean: list[float]
    reservoir_ml_min: list[float]
    reservoir_ml_max: list[float]
    reservoir_ml_mean: list[float]
    battery_v_min: list[float]
    battery_v_max: list[float]
    battery_v_mean: list[float]


_EXAMPLE: Final[dict[str, Any]] = {
    "pump_id": "p000017",
    "resolution": "hour",
    "point_s": 3600.0,
    "columns": {
        "at": ["2026-11-22T20:00:00Z"],
        "readings": [60],
        "first_measured_at": ["2026-11-22T20:00:46Z"],
        "last_measured_at": ["2026-11-22T20:59:46Z"],
        "mode_last": ["running"],
        **{f"program_ml_d_{what}": [0.5] for what in ("min", "max", "mean")},
        "flow_ml_d_min": [0.41],
        "flow_ml_d_max": [0.58],
        "flow_ml_d_mean": [0.497123],
        "reservoir_ml_min": [17.91],
        "reservoir_ml_max": [17.93],
        "reservoir_ml_mean": [17.92012],
        **{f"battery_v_{what}": [2.91] for what in ("min", "max", "mean")},
    },
    "gaps": [{"from_at": "2026-11-22T20:59:46Z", "to_at": "2026-11-22T22:10:46Z"}],
}


class Series(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    pump_id: str
    resolution: Source = Field(description="From what it was made.")
    point_s: float = Field(description="How long a point is; 0: each is one reading.")
    columns: SeriesColumns
    gaps: list[Span] = Field(
        description="Where nothing came for three times the usual spacing of readings, and for longer than a point."
    )


@router.get("/series", response_model=Series)
async def get_series(
    *,
    context: Ctx,
    connection: Database,
    pump_id: PumpId,
    since: Annotated[Instant | None, Query(alias="from", description="Default: a day before `to`.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Not included. Default: now.")] = None,
    points: Annotated[int, Query(ge=1, le=MOST_POINTS, description="At most so many.")] = 500,
    resolution: Annotated[Source | None, Query(description="Instead of the one that suits span and points.")] = None,
) -> Response:
    """Values over a span, as least, greatest and mean of each point.

    Made from readings where the span has few enough of them, else from whole hours or days (UTC), whichever is finer.
    """
    until = until or context.clock()
    since = since or until - _DAY
    if since >= until:
        raise wrong_field("query", "to", "must be later than `from`")
    if until - since > LONGEST:
        raise wrong_field("query", "from", "must be within a hundred years of `to`")
    known = await series.pump_of(connection, pump_id)
    if known is None:
        raise not_found(f"pump {pump_id}")
    key, interval_s = known
    chosen = plan(since, until, points, interval_s, resolution)
    width, rows = await series.series(connection, key, chosen, until, points)
    body = {
        "pump_id": pump_id,
        "resolution": chosen.source,
        "point_s": width.total_seconds(),
        "columns": columns_of(rows, _COLUMNS),
        "gaps": _gaps(rows, gap_after(interval_s, width)),
    }
    return Response(msgspec.json.encode(body), media_type="application/json")


def _gaps(rows: Sequence[Mapping[str, Any]], longer_than: timedelta) -> list[dict[str, datetime]]:
    return [
        {"from_at": before["last_at"], "to_at": after["first_at"]}
        for before, after in pairwise(rows)
        if after["first_at"] - before["last_at"] > longer_than
    ]
