"""How much is asked of people? The burden of alerts over a span of time."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from service.api.context import Ctx, Database, Instant, Viewer
from service.api.problems import answers, wrong_field
from service.core.change import Condition, Priority
from service.postgres import burden as store

router = APIRouter(prefix="/burden", tags=["alerts"])
USUALLY: Final = timedelta(days=7)


class OfCondition(BaseModel):
    condition: Condition
    priority: Priority
    alerts: int
    chattering: int
    inhibited: int
    found_late: int


class OfEndpoint(BaseModel):
    endpoint: str
    told: int = Field(description="Notifications, without those that were collapsed.")
    high: int
    again: int = Field(description="Escalated, repeated or reminded.")
    given_up: int


class OfContact(BaseModel):
    contact: str
    told: int = Field(description="What came to the contact's endpoints, as they are now.")


class Chattering(BaseModel):
    subject: str
    condition: Condition
    episodes: int


class LongStanding(BaseModel):
    id: UUID
    subject: str
    condition: Condition
    priority: Priority
    raised_at: datetime
    acknowledged_by: str | None


class Burden(BaseModel):
    since: datetime
    until: datetime
    pumps: int = Field(description="In service now.")
    alerts: int
    alerts_per_pump_day: float | None
    asked: int = Field(description="Alerts of which somebody was told.")
    answered: int = Field(description="Of these, acknowledged at least once.")
    answer_p50_s: float | None = Field(description="From raised to first acknowledged; of those that were.")
    answer_p90_s: float | None
    by_condition: list[OfCondition]
    by_endpoint: list[OfEndpoint]
    by_contact: list[OfContact]
    chattering: list[Chattering]
    long_standing: list[LongStanding] = Field(description="Open for more than 24 h, the oldest first, at most 50.")

    @classmethod
    def of(cls, found: store.Burden) -> Self:
        plain = {name: getattr(found, name) for name in cls.model_fields}
        for name in ("by_condition", "by_endpoint", "chattering", "long_standing"):
            plain[name] = [dict(row) for row in plain[name]]
        plain["by_contact"] = [{"contact": name, "told": told} for name, told in found.by_contact]
        return cls.model_validate(plain)


@router.get("", responses=answers(HTTPStatus.UNPROCESSABLE_ENTITY))
async def get_burden(
    *,
    context: Ctx,
    connection: Database,
    account: Viewer,
    since: Annotated[Instant | None, Query(description="A week before `until`, if it is left out.")] = None,
    until: Annotated[Instant | None, Query(description="Now, if it is left out.")] = None,
    simulated: Annotated[bool, Query(description="Count simulated pumps as well.")] = False,
) -> Burden:
    """How many alerts there were, who was told how often, and how long people took to answer."""
    end = until or context.clock()
    begin = since or end - USUALLY
    if begin >= end:
        raise wrong_field("query", "since", "must be before until")
    return Burden.of(await store.burden(connection, begin, end, simulated=simulated, seen=account.seen))
