"""What of a pump whose count of restarts has leapt further than can be? An administrator who knows why accepts it."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from service.api.context import TEXT, Administrator, Ctx, Database, PumpId
from service.api.problems import Problem, answers, not_found
from service.core.reading import MAX_BOOT
from service.postgres.boots import BootRefusedError, accept

router = APIRouter(prefix="/pumps/{pump_id}", tags=["pumps"])


class Boot(BaseModel):
    model_config = ConfigDict(extra="forbid")

    boot: Annotated[int, Field(ge=0, le=MAX_BOOT, description="As the quarantined message says.", examples=[70000])]
    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2000,
            pattern=TEXT,
            description="It stays in the audit: no personal data.",
            examples=["Its counter was seen to leap at the visit of 20 November."],
        ),
    ]


class AcceptedBoot(BaseModel):
    pump_id: str = Field(examples=["p000017"])
    boot: int = Field(examples=[70000])


@router.post("/accepted-boot", responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def accept_boot(
    context: Ctx, connection: Database, account: Administrator, pump_id: PumpId, given: Boot
) -> AcceptedBoot:
    """Take what the pump sends of this boot, and of later ones, from now on. It sends again what was kept aside.

    What it still sends of earlier boots then counts as late. Refused (409) where the boot is taken without that.
    """
    try:
        known = await accept(connection, pump_id, given.boot, given.reason, account.name, context.clock())
    except BootRefusedError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    if not known:
        raise not_found(f"pump {pump_id}")
    return AcceptedBoot(pump_id=pump_id, boot=given.boot)
