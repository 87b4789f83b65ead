"""Who is told? The webhook endpoints; a secret is shown once, when its endpoint is made."""

from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.context import Administrator, Database
from service.api.problems import FieldError, Problem, answers, wrong_fields
from service.core.endpoint import MAX_NAME, MAX_URL, endpoint_problems
from service.postgres import endpoints as store

router = APIRouter(prefix="/endpoints", tags=["endpoints"])

_URL: Final = "https://clinic.example/pumpwatch"


class NewEndpoint(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=MAX_NAME, examples=["clinic"])
    url: str = Field(max_length=MAX_URL, examples=[_URL], description="https; http only to this machine.")
    accepts_simulated: bool = Field(default=False, description="Whether alerts of simulated pumps go there.")


class Endpoint(BaseModel):
    id: UUID
    name: str = Field(examples=["clinic"])
    url: str = Field(examples=[_URL])
    accepts_simulated: bool
    enabled: bool
    created_at: datetime


class MadeEndpoint(BaseModel):
    id: UUID
    name: str = Field(examples=["clinic"])
    secret: str = Field(examples=["whsec_…"], description="Signs what is sent there. Never shown again.")


class EndpointList(BaseModel):
    items: list[Endpoint]


@router.get("")
async def list_endpoints(connection: Database, _: Administrator) -> EndpointList:
    """All of them, without their secrets. An address can hold a key of its own, so administrators only."""
    return EndpointList(items=[Endpoint(**row) for row in await store.endpoints(connection)])


@router.post("", status_code=HTTPStatus.CREATED, responses=answers(HTTPStatus.CONFLICT))
async def add_endpoint(
    connection: Database, account: Administrator, response: Response, given: NewEndpoint
) -> MadeEndpoint:
    """Add an endpoint. The answer holds its signing secret, this once."""
    if problems := endpoint_problems(given.name, given.url):
        raise wrong_fields([FieldError(place="body", field=field, detail=what) for field, what in problems])
    try:
        made = await store.add_endpoint(
            connection, given.name, given.url, account.name, accepts_simulated=given.accepts_simulated
        )
    except store.EndpointNameTakenError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    response.headers["Cache-Control"] = "no-store"
    return MadeEndpoint(id=made.id, name=given.name, secret=made.secret)
