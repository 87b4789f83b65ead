"""Who is paged for practice? Drills: begun, listed, ended; each an alert that says in every word that it is none."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.api.context import TEXT, WORD, Administrator, Ctx, Database, Viewer
from service.api.problems import Problem, answers, wrong_field
from service.core.change import Priority
from service.postgres import drills as store

router = APIRouter(prefix="/drills", tags=["alerts"])


class NewDrill(BaseModel):
    priority: Priority = Priority.HIGH
    site: Annotated[str, Field(pattern=WORD)] | None = Field(
        default=None, description="Whose policy is practised; left out: that of the service's own alerts."
    )
    minutes: float = Field(
        default=15, gt=0, le=store.LONGEST / timedelta(minutes=1), description="Then it ends itself."
    )
    note: str = Field(default="", max_length=2000, pattern=TEXT)


class Drill(BaseModel):
    id: UUID = Field(description="The alert's: `/alerts/{id}` shows who was told and who answered.")
    subject: str
    priority: Priority
    raised_at: datetime
    until: datetime
    by: str
    acknowledged_at: datetime | None
    acknowledged_by: str | None


class Drills(BaseModel):
    items: list[Drill]


@router.get("")
async def list_drills(connection: Database, account: Viewer) -> Drills:
    """Those under way."""
    return Drills(items=[Drill(**row) for row in await store.open_drills(connection, account.seen)])


@router.post("", status_code=HTTPStatus.CREATED, responses=answers(HTTPStatus.CONFLICT))
async def begin_drill(context: Ctx, connection: Database, account: Administrator, given: NewDrill) -> Drill:
    """Page for practice whom a real alert would. Every body says that it is a drill."""
    if not account.sees(given.site):
        raise wrong_field("body", "site", f"must be one that {account.name} sees")
    try:
        alert = await store.begin(
            connection,
            context.alert_store,
            account.name,
            context.clock(),
            priority=given.priority,
            site=given.site,
            lasts=timedelta(minutes=given.minutes),
            note=given.note,
        )
    except store.DrillRefusedError as error:
        if error.why.startswith("a drill"):
            raise Problem(HTTPStatus.CONFLICT, error.why) from None
        raise wrong_field("body", error.field, error.why) from None
    return next(drill for drill in (await list_drills(connection, account)).items if drill.id == alert)


@router.delete("/{drill_id}", status_code=HTTPStatus.NO_CONTENT, responses=answers(HTTPStatus.NOT_FOUND))
async def end_drill(context: Ctx, connection: Database, account: Administrator, drill_id: UUID) -> None:
    """End it before its time. Whoever was told is told that it is over."""
    try:
        await store.end(connection, context.alert_store, drill_id, account.name, context.clock())
    except store.DrillRefusedError as error:
        raise Problem(HTTPStatus.NOT_FOUND, error.why) from None
