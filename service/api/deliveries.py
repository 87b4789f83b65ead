"""What was sent to whom, what came of it, and how is it sent again?"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from service.api import cursor
from service.api.context import Administrator, Cursor, Database, Instant, Limit, Viewer
from service.api.direct import Direct
from service.api.problems import Problem, answers, not_found, wrong_field
from service.core.change import Priority
from service.core.delivery import Outcome
from service.postgres import deliveries as store

router = APIRouter(prefix="/deliveries", tags=["deliveries"], route_class=Direct)

State = Literal["pending", "delivered", "failed", "collapsed"]
DeliveryId = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9_-]+$", description="The `webhook-id`.")]
EndpointName = Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="Its name or its id.")]


class Delivery(BaseModel):
    """One thing that one endpoint was to be told. Its id is the `webhook-id` of every attempt."""

    id: str
    alert_id: UUID | None = Field(description="None: a test, or news of another endpoint.")
    number: int = Field(description="The alert's history row that asked for it: they are delivered in this order.")
    endpoint: str
    endpoint_id: UUID
    kind: str
    priority: Priority
    state: State = Field(description="failed: given up; collapsed: superseded before it was ever tried.")
    created_at: datetime
    due_at: datetime = Field(description="When it may next be tried.")
    settled_at: datetime | None
    redriven_at: datetime | None
    attempts: int
    failures: int = Field(description="Since it was made or redriven.")
    failed_since: datetime | None
    last_outcome: Outcome | None
    last_status: int | None
    last_detail: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(**{name: row[name] for name in Delivery.model_fields})


class DeliveryPage(BaseModel):
    items: list[Delivery]
    next_cursor: str | None


class Attempted(BaseModel):
    """One request, and the answer."""

    number: int
    at: datetime
    outcome: Outcome
    status: int | None
    duration_ms: float
    detail: str
    headers: dict[str, str] = Field(description="Of the request, without its signature.")
    answer: str = Field(description="Its first 2 KiB.")


class DeliveryDetail(Delivery):
    body: dict[str, Any] = Field(description="Our own, without links, before it is put into the endpoint's form.")
    tries: list[Attempted]


class Redriven(BaseModel):
    redriven: int


class GivenUp(BaseModel):
    given_up: int


@router.get("")
async def list_deliveries(
    *,
    connection: Database,
    account: Viewer,
    state: Annotated[list[State] | None, Query(description="May be repeated.")] = None,
    endpoint: EndpointName = None,
    alert: Annotated[UUID | None, Query(description="The alert's id.")] = None,
    outcome: Annotated[list[Outcome] | None, Query(description="Of the last attempt; may be repeated.")] = None,
    since: Annotated[Instant | None, Query(description="Made at or after this.")] = None,
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> DeliveryPage:
    """Notifications, the newest first. `state=failed` is what was given up."""
    rows = await store.deliveries(
        connection,
        after=cursor.decode(page, cursor.AfterDelivery) if page else None,
        states=list(state) if state else None,
        endpoint=endpoint,
        alert_id=alert,
        outcomes=[str(each) for each in outcome] if outcome else None,
        since=since,
        seen=account.seen,
        limit=limit + 1,
    )
    items = [Delivery.of(row) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    return DeliveryPage(items=items, next_cursor=cursor.encode(last.created_at, last.id) if last else None)


@router.get("/{delivery_id}", responses=answers(HTTPStatus.NOT_FOUND))
async def get_delivery(connection: Database, _: Viewer, delivery_id: DeliveryId) -> DeliveryDetail:
    """One, with every request and what was answered."""
    row = await store.delivery(connection, delivery_id)
    if row is None:
        raise not_found(f"delivery {delivery_id}")
    tries = [
        Attempted(**{**each, "headers": msgspec.json.decode(each["headers"])})
        for each in await store.attempts(connection, delivery_id)
    ]
    return DeliveryDetail(**Delivery.of(row).model_dump(), body=msgspec.json.decode(row["body"]), tries=tries)


@router.post("/redrive")
async def redrive_all(connection: Database, account: Administrator, endpoint: EndpointName = None) -> Redriven:
    """Send again everything that was given up, each under its id and in the order of its alert.

    What a newer notification has made out of date, and what is for disabled endpoints, stays as it is.
    """
    if endpoint is not None and not await store.knows_endpoint(connection, endpoint):
        raise wrong_field("query", "endpoint", f"there is no endpoint {endpoint}")
    return Redriven(redriven=await store.redrive_all(connection, endpoint, account.name))


@router.post("/give-up")
async def give_up_all(
    connection: Database,
    account: Administrator,
    endpoint: Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$", description="Its name or its id.")],
) -> GivenUp:
    """Try no longer what an endpoint has yet to be told, so that it can be deleted; it stays listed as failed."""
    if not await store.knows_endpoint(connection, endpoint):
        raise wrong_field("query", "endpoint", f"there is no endpoint {endpoint}")
    return GivenUp(given_up=await store.give_up_all(connection, endpoint, account.name))


@router.post("/{delivery_id}/redrive", responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def redrive(connection: Database, account: Administrator, delivery_id: DeliveryId) -> DeliveryDetail:
    """Send one again that was given up: under the same id, with new patience."""
    if await store.delivery(connection, delivery_id) is None:
        raise not_found(f"delivery {delivery_id}")
    try:
        await store.redrive(connection, delivery_id, account.name)
    except store.NotRedrivableError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    return await get_delivery(connection, account, delivery_id)
