"""What did a pump send, what of it is stored, and where is the rest? The books of its sequence over a span."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from service.api.context import Database, Instant, PumpId, key_of
from service.api.events import Position
from service.api.problems import answers, wrong_field
from service.core.completeness import Where
from service.postgres import books

router = APIRouter(prefix="/pumps/{pump_id}", tags=["readings"], responses=answers(HTTPStatus.NOT_FOUND))

SPANS_SHOWN: Final = 1000


class Boot(BaseModel):
    """One life of the pump, from what is stored of it. What a boot ended with is unknowable."""

    boot: int
    first_seq: int
    last_seq: int
    stored: int
    first_measured_at: datetime
    last_measured_at: datetime


class MissingSpan(BaseModel):
    """Positions, both ends included, that are not stored, and where they are."""

    first: Position
    last: Position
    items: int
    where: Where = Field(
        description="`quarantined`: a message with them was kept aside. `lost`: the pump has them no more. "
        "`awaited`: it may send them yet. `unaccounted`: receipted and not there, which must not be."
    )


class LedgerOfPump(BaseModel):
    """`sent` = `stored` + `quarantined` + `lost` + `awaited` + `unaccounted`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "pump_id": "p000017",
                    "sent": 1440,
                    "stored": 1435,
                    "quarantined": 1,
                    "lost": 4,
                    "awaited": 0,
                    "unaccounted": 0,
                    "completeness": 0.996528,
                    "doubled": 0,
                    "duplicates": 12,
                    "messages_aside": 1,
                    "reboots": 0,
                    "boots": [
                        {
                            "boot": 7,
                            "first_seq": 16602,
                            "last_seq": 18041,
                            "stored": 1435,
                            "first_measured_at": "2026-11-21T20:28:46Z",
                            "last_measured_at": "2026-11-22T20:27:46Z",
                        }
                    ],
                    "missing": [
                        {
                            "first": {"boot": 7, "seq": 17000},
                            "last": {"boot": 7, "seq": 17003},
                            "items": 4,
                            "where": "lost",
                        }
                    ],
                    "missing_spans": 2,
                }
            ]
        }
    )
    pump_id: str
    sent: int = Field(description="Positions that the pump has used in the span, readings and events.")
    stored: int
    quarantined: int
    lost: int
    awaited: int
    unaccounted: int
    completeness: float | None = Field(description="`stored` / `sent`; null where nothing was sent.")
    doubled: int = Field(description="Stored twice, which must not be.")
    duplicates: int = Field(description="Came again although they were stored, on the days (UTC) of the span.")
    messages_aside: int = Field(description="Messages that could not be taken on those days.")
    reboots: int
    boots: list[Boot]
    missing: list[MissingSpan] = Field(description=f"The first {SPANS_SHOWN:,} spans.")
    missing_spans: int = Field(description="How many there are.")


@router.get("/ledger")
async def get_ledger(
    *,
    connection: Database,
    pump_id: PumpId,
    since: Annotated[Instant | None, Query(alias="from", description="Default: the first that is stored.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Not included. Default: the last.")] = None,
) -> LedgerOfPump:
    """What the pump sent, what of it is stored, and where the rest is. Spans that follow each other add up."""
    if since and until and since >= until:
        raise wrong_field("query", "to", "must be later than `from`")
    found = await books.ledger(connection, await key_of(connection, pump_id), pump_id, since=since, until=until)
    closed = found.books
    return LedgerOfPump(
        pump_id=pump_id,
        sent=closed.sent,
        stored=closed.stored,
        **{str(where): closed.count(where) for where in Where},
        completeness=closed.completeness,
        doubled=found.doubled,
        duplicates=found.duplicates,
        messages_aside=found.aside,
        reboots=closed.reboots,
        boots=[
            Boot(
                boot=boot.boot,
                first_seq=Position.of(boot.first).seq,
                last_seq=Position.of(boot.last).seq,
                stored=boot.stored,
                first_measured_at=boot.first_at,
                last_measured_at=boot.last_at,
            )
            for boot in closed.boots
        ],
        missing=[
            MissingSpan(first=Position.of(span.first), last=Position.of(span.last), items=span.items, where=span.where)
            for span in closed.missing[:SPANS_SHOWN]
        ],
        missing_spans=len(closed.missing),
    )
