"""How does one take a pump's readings home? As CSV of any span, streamed."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from service.api.context import Ctx, Instant, PumpId, Viewer, key_of
from service.api.problems import answers, wrong_field
from service.postgres.accounts import audit
from service.postgres.export import What, exported

router = APIRouter(prefix="/pumps/{pump_id}", tags=["readings"])

_CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A header, then a line each, in the order of `measured_at`; cells of text never are formulas.",
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": "pump_id,measured_at,received_at,boot,…\r\n"}
        },
    }
}


@router.get("/export", response_class=StreamingResponse, responses={**_CSV, **answers(HTTPStatus.NOT_FOUND)})
async def export(
    *,
    context: Ctx,
    account: Viewer,
    pump_id: PumpId,
    what: What = What.READINGS,
    since: Annotated[Instant | None, Query(alias="from", description="Default: the first that is stored.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Not included. Default: the last.")] = None,
) -> StreamingResponse:
    """All that is stored of a span, as CSV. It is whole if the last chunk has come."""
    if since and until and since >= until:
        raise wrong_field("query", "to", "must be later than `from`")

    async with context.database() as connection:
        key = await key_of(connection, pump_id)
        span = {"what": what, "from": since, "to": until}
        await audit(connection, account.name, "pump_exported", pump_id, span)

    async def pieces() -> AsyncIterator[str]:
        async for piece in exported(context.database, key, pump_id, what, since=since, until=until):
            yield piece

    named = {"Content-Disposition": f'attachment; filename="{pump_id}-{what}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(pieces(), media_type="text/csv; charset=utf-8", headers=named)
