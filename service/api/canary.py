"""Has the canary's fault arrived? The endpoint of our own, at which its alerts end; it believes only what we signed."""

from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response

from service.api.context import Ctx, Database
from service.api.problems import Problem
from service.core.webhook import verifies
from service.postgres.canary_rounds import arrived, secret_of

PATH: Final = "/hooks/canary"
router = APIRouter(include_in_schema=False)


class _Said(msgspec.Struct):
    alert_id: UUID | None = None


class _Body(msgspec.Struct):
    type: str
    timestamp: datetime
    about: _Said = msgspec.field(name="data")


@router.post(PATH)
async def hear(context: Ctx, connection: Database, request: Request) -> Response:
    """What it is told besides that a fault was found is taken, and means nothing."""
    body, now = await request.body(), context.clock()
    secret = await secret_of(connection, context.vault)
    if secret is None or not verifies(request.headers, body, secret, now):
        raise Problem(HTTPStatus.UNAUTHORIZED, "not signed by this service")
    try:
        said = msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "not a body of this service's") from None
    if said.about.alert_id is not None and said.type in _NEWS:
        await arrived(connection, said.about.alert_id, said.timestamp, now)
    return Response(status_code=HTTPStatus.NO_CONTENT)


_NEWS: Final = {"alert.activated", "alert.repeated", "alert.escalated"}
