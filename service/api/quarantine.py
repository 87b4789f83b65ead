"""What could not be understood? The messages kept aside, each with its reason."""

import base64
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from service.api import cursor
from service.api.context import WORD, Cursor, Database, Instant, Limit, Viewer
from service.api.problems import answers, not_found
from service.postgres import queries

router = APIRouter(prefix="/quarantine", tags=["quarantine"])


class Quarantined(BaseModel):
    id: int
    received_at: datetime
    topic: str = Field(examples=["pumps/v1/p000017/telemetry"])
    reason: str = Field(examples=["not_json"])
    detail: str
    length: int = Field(description="Bytes of the whole payload.")
    sha256: str = Field(description="Of the whole payload.")

    @classmethod
    def _of(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: row[name] for name in Quarantined.model_fields}
        return given | {"sha256": row["sha256"].hex()}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Quarantined":
        return Quarantined(**cls._of(row))


class QuarantinedBytes(Quarantined):
    head_base64: str = Field(description="The first bytes of the payload, at most 64 KiB.")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "QuarantinedBytes":
        return cls(**cls._of(row), head_base64=base64.b64encode(row["head"]).decode())


class QuarantinePage(BaseModel):
    items: list[Quarantined]
    next_cursor: str | None


@router.get("")
async def list_quarantine(
    *,
    connection: Database,
    account: Viewer,
    reason: Annotated[str | None, Query(pattern=WORD)] = None,
    pump: Annotated[str | None, Query(pattern=WORD, description="The pump's id.")] = None,
    since: Annotated[Instant | None, Query(description="Received at or after this.")] = None,
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> QuarantinePage:
    """What was kept aside, the newest first, without its bytes."""
    before = cursor.decode(page, cursor.BeforePosition) if page else cursor.BeforePosition()
    rows = await queries.quarantine(
        connection,
        before=before.position,
        reason=reason,
        since=since,
        pump_id=pump,
        seen=account.seen,
        limit=limit + 1,
    )
    items = [Quarantined.of(row) for row in rows[:limit]]
    return QuarantinePage(items=items, next_cursor=cursor.encode(items[-1].id) if len(rows) > limit else None)


@router.get("/{number}", responses=answers(HTTPStatus.NOT_FOUND))
async def get_quarantined(
    connection: Database, number: Annotated[int, Path(ge=1, le=cursor.LAST_POSITION)]
) -> QuarantinedBytes:
    """One message with its first bytes."""
    row = await queries.quarantined(connection, number)
    if row is None:
        raise not_found(f"quarantined message {number}")
    return QuarantinedBytes.of(row)
