"""What happened to a pump, and what of its sequence is missing? Its events, and the gaps."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from service.api import cursor
from service.api.context import Cursor, Database, Instant, Limit, PumpId, key_of
from service.api.direct import Direct
from service.api.problems import answers, wrong_field
from service.core.reading import EventType, boot_of, seq_of
from service.postgres import queries

router = APIRouter(
    prefix="/pumps/{pump_id}", tags=["readings"], responses=answers(HTTPStatus.NOT_FOUND), route_class=Direct
)

_EVENTS: Final = [kind.name.lower() for kind in EventType if kind is not EventType.READING]


class Position(BaseModel):
    boot: int
    seq: int

    @classmethod
    def of(cls, position: int) -> "Position":
        return cls(boot=boot_of(position), seq=seq_of(position))


class Event(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "boot": 7,
                    "seq": 18043,
                    "type": "refill",
                    "measured_at": "2026-11-22T20:28:47Z",
                    "received_at": "2026-11-22T20:28:47.198Z",
                    "body": {"reservoir_after_ml": 20.0, "aspirated_ml": 2.6},
                }
            ]
        }
    )
    boot: int
    seq: int
    type: str
    measured_at: datetime
    received_at: datetime
    body: dict[str, Any] = Field(description="What the pump said, as in docs/interface.md.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Event":
        return cls(
            boot=boot_of(row["position"]),
            seq=seq_of(row["position"]),
            type=row["type"],
            measured_at=row["measured_at"],
            received_at=row["received_at"],
            body=msgspec.json.decode(row["body"]),
        )


class EventPage(BaseModel):
    items: list[Event]
    next_cursor: str | None


@router.get("/events")
async def list_events(
    *,
    connection: Database,
    pump_id: PumpId,
    since: Annotated[Instant | None, Query(alias="from")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Not included.")] = None,
    kind: Annotated[str | None, Query(alias="type", pattern=f"^({'|'.join(_EVENTS)})$")] = None,
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> EventPage:
    """What happened, the pump's newest first."""
    if since and until and since >= until:
        raise wrong_field("query", "to", "must be later than `from`")
    before = _before(page)
    key = await key_of(connection, pump_id)
    rows = await queries.events(connection, key, before=before, since=since, until=until, kind=kind, limit=limit + 1)
    items = [Event.of(row) for row in rows[:limit]]
    return EventPage(items=items, next_cursor=_next(rows, limit, "position"))


class Gap(BaseModel):
    """A span of positions, both ends included, that did not come in its turn."""

    first: Position = Field(examples=[{"boot": 7, "seq": 17991}])
    last: Position = Field(examples=[{"boot": 7, "seq": 18041}])
    noticed_at: datetime = Field(examples=["2026-11-22T20:28:46Z"])
    closed_at: datetime | None = Field(description="When the last of it came.")
    lost: bool = Field(description="The pump has it no more: it will never come.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Gap":
        return cls(
            first=Position.of(row["from_position"]),
            last=Position.of(row["to_position"]),
            noticed_at=row["noticed_at"],
            closed_at=row["closed_at"],
            lost=row["lost"],
        )


class GapPage(BaseModel):
    items: list[Gap]
    next_cursor: str | None


@router.get("/gaps")
async def list_gaps(
    *,
    connection: Database,
    pump_id: PumpId,
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> GapPage:
    """What is missing of the pump's sequence, or was for a while; newest first."""
    before = _before(page)
    key = await key_of(connection, pump_id)
    rows = await queries.gaps(connection, key, before=before, limit=limit + 1)
    items = [Gap.of(row) for row in rows[:limit]]
    return GapPage(items=items, next_cursor=_next(rows, limit, "from_position"))


def _before(page: str | None) -> int:
    return (cursor.decode(page, cursor.BeforePosition) if page else cursor.BeforePosition()).position


def _next(rows: list[asyncpg.Record], limit: int, column: str) -> str | None:
    return cursor.encode(rows[limit - 1][column]) if len(rows) > limit else None
