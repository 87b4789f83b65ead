"""How does a clinician take a pump out of service, and put it back? Nothing is raised of it in between."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from service.api.care import Note
from service.api.context import Clinician, Ctx, Database, PumpId
from service.api.problems import Problem, answers, not_found
from service.api.pump_models import Pump
from service.postgres import out_of_service as store
from service.postgres import queries
from service.postgres.care import CareRefusedError

router = APIRouter(prefix="/pumps/{pump_id}", tags=["care"])

_CHANGE: Final = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


class Reason(BaseModel):
    model_config = ConfigDict(extra="forbid")
    note: Note = ""


@router.post("/out-of-service", responses=_CHANGE)
async def take_out_of_service(
    context: Ctx, connection: Database, account: Clinician, pump_id: PumpId, given: Reason
) -> Pump:
    """From now on nothing is raised of it, and what is open of it ends within a minute; its readings are kept."""
    try:
        async with connection.transaction():
            number = await store.take_out(connection, pump_id, given.note, account.name, context.clock())
    except CareRefusedError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    if number is None:
        raise not_found(f"pump {pump_id}")
    return await _shown(context, connection, pump_id)


@router.post("/in-service", responses=_CHANGE)
async def put_into_service(context: Ctx, connection: Database, account: Clinician, pump_id: PumpId) -> Pump:
    """It is watched again: what holds of it by then is raised. 409 also where another pump took its place."""
    try:
        async with connection.transaction():
            found = await store.put_back(connection, pump_id, account.name, context.clock())
    except CareRefusedError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    if not found:
        raise not_found(f"pump {pump_id}")
    return await _shown(context, connection, pump_id)


async def _shown(context: Ctx, connection: Database, pump_id: str) -> Pump:
    row = await queries.pump(connection, pump_id)
    if row is None:
        raise not_found(f"pump {pump_id}")
    return Pump.of(row, context.rulebook, context.clock())
