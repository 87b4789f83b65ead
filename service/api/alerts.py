"""What is wrong, and who has answered? Pages of alerts, one alert whole, and what a person does to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Body, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from service.api import cursor, versions
from service.api.alert_evidence import AlertEvidence
from service.api.alert_models import Alert, AlertDetail, AlertPage
from service.api.context import TEXT, WORD, Clinician, Context, Ctx, Cursor, Database, Instant, Limit, Viewer
from service.api.direct import Direct
from service.api.link_page import HEADERS
from service.api.problems import Problem, answers, not_found, wrong_field
from service.core import incident as on_paper
from service.core.alert import AlertState, AlreadyAcknowledgedError, IllegalTransitionError
from service.core.answers import ShelfRefusedError
from service.core.change import Condition, Kind, Priority
from service.postgres import alert_queries
from service.postgres.accounts import Account, audit
from service.postgres.incidents import incident

router = APIRouter(prefix="/alerts", tags=["alerts"], route_class=Direct)

_NOWHERE: Final = Response()
"""Where the version is noted for callers within the process: they have it in the answer."""
SUBJECT: Final = r"^(pump|site|service):[^\x00-\x1f\x7f]{1,200}$"
_PERSONS: Final = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)


class Note(BaseModel):
    note: str = Field(
        default="",
        max_length=2000,
        pattern=TEXT,
        description="Why, or what was done; no personal data.",
        examples=["Seen; the patient is on the way in."],
    )


class Shelf(BaseModel):
    reason: str = Field(
        min_length=1,
        max_length=2000,
        pattern=TEXT,
        examples=["The ward has been told; the part comes tomorrow."],
    )
    until: AwareDatetime = Field(examples=["2026-11-22T21:00:00Z"])


NoteBody = Annotated[Note, Body(default_factory=Note)]


@router.get("")
async def list_alerts(
    *,
    connection: Database,
    account: Viewer,
    state: Annotated[list[AlertState] | None, Query(description="May be repeated.")] = None,
    pump: Annotated[str | None, Query(pattern=WORD, description="The pump's id.")] = None,
    subject: Annotated[str | None, Query(pattern=SUBJECT, description="What it is about: `site:north`.")] = None,
    condition: Annotated[list[Condition] | None, Query(description="May be repeated.")] = None,
    priority: Annotated[list[Priority] | None, Query(description="May be repeated.")] = None,
    site: Annotated[str | None, Query(pattern=WORD)] = None,
    kind: Annotated[list[Kind] | None, Query(description="May be repeated.")] = None,
    acknowledged: Annotated[bool | None, Query(description="Whether somebody has answered it.")] = None,
    shelved: bool | None = None,
    since: Annotated[Instant | None, Query(description="Raised at or after this.")] = None,
    until: Annotated[Instant | None, Query(description="Raised before this.")] = None,
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> AlertPage:
    """Alerts, the newest first."""
    if since and until and since >= until:
        raise wrong_field("query", "until", "must be later than `since`")
    rows = await alert_queries.alerts(
        connection,
        after=cursor.decode(page, cursor.AfterAlert) if page else None,
        states=state,
        pump_id=pump,
        conditions=condition,
        priorities=priority,
        since=since,
        subject=subject,
        seen=account.seen,
        until=until,
        site=site,
        kinds=kind,
        acknowledged=acknowledged,
        shelved=shelved,
        limit=limit + 1,
    )
    items = [Alert.of(row) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    return AlertPage(items=items, next_cursor=cursor.encode(last.raised_at, last.id) if last else None)


@router.get("/{alert_id}", responses=answers(HTTPStatus.NOT_FOUND))
async def get_alert(context: Ctx, connection: Database, alert_id: UUID, response: Response = _NOWHERE) -> AlertDetail:
    """One alert with its evidence, its history, and every notification with its attempts. The ETag is its version."""
    return await _shown(context, connection, alert_id, response)


@router.get("/{alert_id}/evidence", responses=answers(HTTPStatus.NOT_FOUND))
async def get_evidence(connection: Database, alert_id: UUID) -> AlertEvidence:
    """Why there is this alert, ready for a chart: the readings, and which statistic crossed which limit."""
    row = await alert_queries.alert(connection, alert_id)
    if row is None:
        raise not_found(f"alert {alert_id}")
    return AlertEvidence.of(row)


@router.get("/{alert_id}/report", include_in_schema=False)  # no JSON: docs/interface.md tells of it
async def report_alert(context: Ctx, connection: Database, alert_id: UUID) -> Response:
    """Everything about one alert as a page to print."""
    found = await incident(connection, alert_id, context.rulebook, context.clock())
    if found is None:
        raise not_found(f"alert {alert_id}")
    return Response(on_paper.page(found), headers=HEADERS, media_type="text/html; charset=utf-8")


@router.post("/{alert_id}/acknowledge", responses=_PERSONS)
async def acknowledge_alert(
    *,
    context: Ctx,
    connection: Database,
    account: Clinician,
    alert_id: UUID,
    note: NoteBody,
    response: Response = _NOWHERE,
    if_match: versions.IfMatch = None,
) -> AlertDetail:
    """Say that a person has seen it: repeats and escalation stop, the alert stays until its condition is over."""
    async with _done_by(account, "alert_acknowledged", connection, alert_id, note, if_match):
        await context.alert_store.acknowledge(connection, alert_id, account.name, note.note, context.clock())
    return await _shown(context, connection, alert_id, response)


@router.post("/{alert_id}/reset", responses=_PERSONS)
async def reset_alert(
    *,
    context: Ctx,
    connection: Database,
    account: Clinician,
    alert_id: UUID,
    note: NoteBody,
    response: Response = _NOWHERE,
    if_match: versions.IfMatch = None,
) -> AlertDetail:
    """Resolve a latched alert: its condition is over, and somebody has looked after it."""
    async with _done_by(account, "alert_reset", connection, alert_id, note, if_match):
        await context.alert_store.reset(connection, alert_id, account.name, note.note, context.clock())
    return await _shown(context, connection, alert_id, response)


@router.post("/{alert_id}/shelve", responses=_PERSONS)
async def shelve_alert(
    *,
    context: Ctx,
    connection: Database,
    account: Clinician,
    alert_id: UUID,
    given: Shelf,
    response: Response = _NOWHERE,
    if_match: versions.IfMatch = None,
) -> AlertDetail:
    """Hear no more of it until a time: of high priority for 30 min at most, medium 24 h, low 7 d.

    Never for a stall, an empty reservoir, a gross over-delivery or a pump that is silent.
    """
    async with _done_by(account, "alert_shelved", connection, alert_id, Note(note=given.reason), if_match):
        await context.alert_store.shelve(
            connection, alert_id, account.name, given.reason, context.clock(), until=given.until
        )
    return await _shown(context, connection, alert_id, response)


@router.post("/{alert_id}/unshelve", responses=_PERSONS)
async def unshelve_alert(
    *,
    context: Ctx,
    connection: Database,
    account: Clinician,
    alert_id: UUID,
    note: NoteBody,
    response: Response = _NOWHERE,
    if_match: versions.IfMatch = None,
) -> AlertDetail:
    """End the shelf before its time: the alert asks again, unless somebody has acknowledged it."""
    async with _done_by(account, "alert_unshelved", connection, alert_id, note, if_match):
        await context.alert_store.unshelve(connection, alert_id, account.name, note.note, context.clock())
    return await _shown(context, connection, alert_id, response)


@asynccontextmanager
async def _done_by(
    account: Account, action: str, connection: asyncpg.Connection, alert_id: UUID, note: Note, if_match: str | None
) -> AsyncIterator[None]:
    """One transaction around what a person does to an alert: audited, or refused in words that say why."""
    async with connection.transaction():
        stored = await alert_queries.lock_version(connection, alert_id)
        if stored is None:
            raise not_found(f"alert {alert_id}")
        versions.check(if_match, stored["version"], "alert", f"{stored['event']} by {stored['actor']}")
        try:
            yield
        except AlreadyAcknowledgedError as error:
            at = error.at.isoformat(timespec="seconds").replace("+00:00", "Z")
            raise Problem(HTTPStatus.CONFLICT, f"already acknowledged by {error.by} at {at}") from None
        except ShelfRefusedError as error:
            if error.field in Shelf.model_fields:
                raise wrong_field("body", error.field, error.why) from None
            raise Problem(HTTPStatus.CONFLICT, error.why) from None
        except IllegalTransitionError as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from None
        await audit(connection, account.name, action, str(alert_id), {"note": note.note})


async def _shown(context: Context, connection: asyncpg.Connection, alert_id: UUID, response: Response) -> AlertDetail:
    row = await alert_queries.alert(connection, alert_id)
    if row is None:
        raise not_found(f"alert {alert_id}")
    versions.tag(response, row["version"])
    history = await alert_queries.history(connection, alert_id)
    notifications = await alert_queries.notifications(connection, alert_id)
    inhibited = await alert_queries.inhibited(connection, alert_id)
    return AlertDetail.whole(row, history, notifications, inhibited, context.rulebook)
