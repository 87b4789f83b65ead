"""What did a pump measure? Its readings of a span of time, as columns with their units."""

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from service.api import cursor
from service.api.context import Ctx, Cursor, Database, Instant, PumpId, key_of
from service.api.problems import answers, wrong_field
from service.core.reading import Mode, boot_of, seq_of
from service.postgres import queries

router = APIRouter(prefix="/pumps/{pump_id}", tags=["readings"], responses=answers(HTTPStatus.NOT_FOUND))

_DAY: Final = timedelta(days=1)
_MODES: Final = {mode.value: mode.name.lower() for mode in Mode}


def _stored(decimals: int) -> Callable[[float | None], float | None]:
    """Undo what storing as a 32-bit float added behind the stored precision."""
    return lambda value: None if value is None else round(value, decimals)


# The columns of an answer: from which column of the store, and how it is told.
_COLUMNS: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "measured_at": ("measured_at", lambda at: at),
    "received_at": ("received_at", lambda at: at),
    "boot": ("position", boot_of),
    "seq": ("position", seq_of),
    "mode": ("mode", _MODES.__getitem__),
    "program_ml_d": ("program_ml_d", _stored(4)),
    "flow_ml_d": ("flow_ml_d", _stored(4)),
    "reservoir_ml": ("reservoir_ml", _stored(3)),
    "battery_v": ("battery_v", _stored(3)),
    "delivered_ul": ("delivered_ul", _stored(2)),
}


class ReadingColumns(BaseModel):
    """Equally long lists: the i-th of each is the i-th reading."""

    measured_at: list[datetime]
    received_at: list[datetime]
    boot: list[int]
    seq: list[int]
    mode: list[str]
    program_ml_d: list[float]
    flow_ml_d: list[float]
    reservoir_ml: list[float]
    battery_v: list[float]
    delivered_ul: list[float | None]


class ReadingPage(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "pump_id": "p000017",
                    "columns": {
                        "measured_at": ["2026-11-22T20:28:46Z"],
                        "received_at": ["2026-11-22T20:28:46.212Z"],
                        "boot": [7],
                        "seq": [18042],
                        "mode": ["running"],
                        "program_ml_d": [0.5],
                        "flow_ml_d": [0.497],
                        "reservoir_ml": [17.93],
                        "battery_v": [2.91],
                        "delivered_ul": [None],
                    },
                    "next_cursor": None,
                }
            ]
        }
    )
    pump_id: str
    columns: ReadingColumns
    next_cursor: str | None


@router.get("/readings", response_model=ReadingPage)
async def list_readings(
    *,
    context: Ctx,
    connection: Database,
    pump_id: PumpId,
    since: Annotated[Instant | None, Query(alias="from", description="Default: a day before `to`.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Not included. Default: now.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Readings on a page.")] = 1000,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> Response:
    """Readings in the order of `measured_at`, as columns."""
    until = until or context.clock()
    since = since or until - _DAY
    if since >= until:
        raise wrong_field("query", "to", "must be later than `from`")
    after = cursor.decode(page, cursor.AfterReading) if page else cursor.AfterReading()
    key = await key_of(connection, pump_id)
    rows = await queries.readings(connection, key, since=since, until=until, after=after, limit=limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    columns = {name: [told(row[source]) for row in rows] for name, (source, told) in _COLUMNS.items()}
    next_cursor = cursor.encode(rows[-1]["measured_at"], rows[-1]["position"]) if more else None
    # Ten thousand rows are worth the direct way past the models.
    body = msgspec.json.encode({"pump_id": pump_id, "columns": columns, "next_cursor": next_cursor})
    return Response(body, media_type="application/json")
