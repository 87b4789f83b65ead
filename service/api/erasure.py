"""How is a pump forgotten, and who may ask for it? Administrators, once it is out of service and nothing is open."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.api.context import TEXT, WORD, Administrator, Ctx, Database, PumpId
from service.api.problems import Problem, answers, not_found, wrong_field
from service.postgres.erasure import ErasureRefusedError, erase

router = APIRouter(prefix="/pumps/{pump_id}", tags=["pumps"])


class Erasure(BaseModel):
    pump_id: Annotated[
        str, Field(pattern=WORD, description="Once more, since it cannot be undone.", examples=["p000017"])
    ]
    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2000,
            pattern=TEXT,
            description="It stays in the audit: no personal data.",
            examples=["Asked for by the patient, letter of 20 November."],
        ),
    ]


class Erased(BaseModel):
    rows: dict[str, int] = Field(description="How many went, by table.", examples=[{"stored_reading": 525600}])


@router.post("/erase", responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def erase_pump(
    context: Ctx, connection: Database, account: Administrator, pump_id: PumpId, given: Erasure
) -> Erased:
    """Forget the pump for good: what it said, and what was made of it.

    Refused (409) while it is in service or an alert of it is open. That there were alerts stays, without evidence.
    """
    if given.pump_id != pump_id:
        raise wrong_field("body", "pump_id", f"must be that of the path, {pump_id}")
    try:
        gone = await erase(connection, pump_id, given.reason, account.name, context.clock())
    except ErasureRefusedError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    if gone is None:
        raise not_found(f"pump {pump_id}")
    return Erased(rows=dict(gone))
