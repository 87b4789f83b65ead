"""Who did what? Every write, and every export, with whose it was; nothing here can be changed."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from service.api import cursor
from service.api.context import WORD, Administrator, Cursor, Database, Instant, Limit
from service.api.problems import wrong_field
from service.postgres import audits

router = APIRouter(prefix="/audit", tags=["audit"])

_NAME = r"^[^\x00-\x1f\x7f]{1,200}$"


class AuditEntry(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "number": 1017,
                    "at": "2026-11-22T20:28:46.212Z",
                    "actor": "ada",
                    "action": "alert_acknowledged",
                    "subject": "0190b9a0-7c1e-7bbb-8f9d-1b2c3d4e5f60",
                    "detail": {"note": "Seen."},
                    "hash": "9f" * 32,
                }
            ]
        }
    )
    number: int = Field(description="Its place in the chain.")
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    hash: str = Field(description="SHA-256 over the hash of the entry before it and all of this one.")


class AuditPage(BaseModel):
    items: list[AuditEntry]
    next_cursor: str | None


@router.get("")
async def list_audit(
    *,
    connection: Database,
    account: Administrator,
    actor: Annotated[str | None, Query(pattern=_NAME)] = None,
    action: Annotated[str | None, Query(pattern=WORD, description="As `pump_written`.")] = None,
    subject: Annotated[str | None, Query(pattern=_NAME, description="A pump's id, an alert's, …")] = None,
    since: Annotated[Instant | None, Query(alias="from")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Not included.")] = None,
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> AuditPage:
    """What was done, the newest first. Whether it is what was written: `pumpwatch audit verify`.

    Whoever sees some sites alone is shown what they did themselves.
    """
    if since and until and since >= until:
        raise wrong_field("query", "to", "must be later than `from`")
    before = cursor.decode(page, cursor.BeforePosition) if page else cursor.BeforePosition()
    rows = await audits.audited(
        connection,
        before=before.position,
        actor=actor,
        action=action,
        subject=subject,
        since=since,
        until=until,
        limit=limit + 1,
        only_of=None if account.sites is None else account.name,
    )
    items = [
        AuditEntry(
            **{name: row[name] for name in ("number", "at", "actor", "action", "subject")},
            detail=msgspec.json.decode(row["detail"]),
            hash=row["hash"].hex(),
        )
        for row in rows[:limit]
    ]
    return AuditPage(items=items, next_cursor=cursor.encode(rows[limit - 1]["id"]) if len(rows) > limit else None)
