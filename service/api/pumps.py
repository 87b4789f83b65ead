"""Which pumps are there, and what does the registry say of them? Pages, one pump, and the change of its entry."""

from http import HTTPStatus
from typing import Annotated, Any, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Header, Query, Request, Response

from service.api import cursor
from service.api.context import WORD, Administrator, Context, Ctx, Cursor, Database, Limit, PumpId
from service.api.problems import FieldError, Problem, answers, not_found, wrong_field, wrong_fields
from service.api.pump_models import EXAMPLE, Pump, PumpPage
from service.core.registry import RegistryEntry, entry_of
from service.postgres import queries, registry
from service.postgres.accounts import audit

router = APIRouter(prefix="/pumps", tags=["pumps"])

_ENTRY_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/RegistryEntry"}, "example": EXAMPLE},
        },
    }
}


@router.get("")
async def list_pumps(
    *,
    context: Ctx,
    connection: Database,
    site: Annotated[str | None, Query(pattern=WORD)] = None,
    q: Annotated[str | None, Query(pattern=WORD, description="A part of the pump's id, in any case.")] = None,
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> PumpPage:
    """All pumps in the order of their ids, each with its latest values, open alerts and verdicts."""
    after = cursor.decode(page, cursor.AfterPump) if page else cursor.AfterPump()
    rows = await queries.pumps(connection, after=after.pump_id, site=site, q=q, limit=limit + 1)
    now = context.clock()
    items = [Pump.of(row, context.rulebook, now) for row in rows[:limit]]
    return PumpPage(items=items, next_cursor=cursor.encode(items[-1].pump_id) if len(rows) > limit else None)


@router.get("/{pump_id}", responses=answers(HTTPStatus.NOT_FOUND))
async def get_pump(context: Ctx, connection: Database, response: Response, pump_id: PumpId) -> Pump:
    """One pump. The ETag is the version of its registry entry."""
    return await _shown(context, connection, response, pump_id)


@router.put(
    "/{pump_id}",
    openapi_extra=_ENTRY_BODY,
    responses={201: {"model": Pump}, **answers(HTTPStatus.PRECONDITION_FAILED)},
)
async def put_pump(
    *,
    request: Request,
    response: Response,
    context: Ctx,
    connection: Database,
    account: Administrator,
    pump_id: PumpId,
    if_match: Annotated[str | None, Header(description='The version that is to be replaced: `"3"`.')] = None,
) -> Pump:
    """Write the whole registry entry of a pump: a new one (201), or in place of the stored one (200).

    With `If-Match` it is refused (412) unless the stored version is still that one.
    """
    entry = _entry(await request.body(), pump_id, context)
    async with connection.transaction():
        stored = await registry.entry_for_update(connection, pump_id)
        _check_version(if_match, stored)
        written = await registry.upsert(connection, [entry], context.settings.shard)
        before = {name: stored[name] for name in entry.__struct_fields__} if stored else None
        detail = {"before": before, "after": entry, "version": (written.created | written.changed).get(pump_id)}
        await audit(connection, account.name, "pump_written", pump_id, detail)
    response.status_code = HTTPStatus.CREATED if written.created else HTTPStatus.OK
    return await _shown(context, connection, response, pump_id)


async def _shown(context: Context, connection: asyncpg.Connection, response: Response, pump_id: str) -> Pump:
    row = await queries.pump(connection, pump_id)
    if row is None:
        raise not_found(f"pump {pump_id}")
    response.headers["ETag"] = f'"{row["version"]}"'
    return Pump.of(row, context.rulebook, context.clock())


def _entry(body: bytes, pump_id: str, context: Context) -> RegistryEntry:
    try:
        given: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise wrong_field("body", "body", f"must be a JSON object: {error}") from None
    if given.setdefault("pump_id", pump_id) != pump_id:
        raise wrong_field("body", "pump_id", f"must be that of the path, {pump_id}, or left out")
    result = entry_of(given, context.time_zones)
    if isinstance(result, RegistryEntry):
        return result
    raise wrong_fields([FieldError(place="body", field=field, detail=what) for field, what in result])


def _check_version(if_match: str | None, stored: asyncpg.Record | None) -> None:
    if if_match is None or (if_match == "*" and stored):
        return
    if stored is None:
        raise Problem(HTTPStatus.PRECONDITION_FAILED, "there is no such pump yet; leave If-Match out to enter it")
    versions = {part.strip().removeprefix("W/").strip('"') for part in if_match.split(",")}
    if str(stored["version"]) not in versions:
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED,
            f"the stored version is {stored['version']}, not {if_match}: somebody else has changed it; read it again",
        )
