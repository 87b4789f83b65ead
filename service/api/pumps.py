"""Which pumps are there, and what does the registry say of them? Pages, one pump, and the change of its entry."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, NamedTuple

import asyncpg
import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from service.api import cursor, versions
from service.api.context import WORD, Administrator, Context, Ctx, Cursor, Database, Limit, PumpId, Viewer
from service.api.direct import Direct
from service.api.events import Event, Gap
from service.api.problems import FieldError, answers, not_found, wrong_field, wrong_fields
from service.api.pump_models import EXAMPLE, Pump, PumpPage
from service.api.shown import Shown
from service.core.census import State
from service.core.change import NOT_OF_A_PUMP, Condition
from service.core.registry import RegistryEntry, entry_of
from service.core.verdicts import Verdict
from service.postgres import queries, registry
from service.postgres.accounts import audit

router = APIRouter(prefix="/pumps", tags=["pumps"], route_class=Direct)

_ENTRY_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/RegistryEntry"}, "example": EXAMPLE},
        },
    }
}


SHOWN_OF_EACH: Final = 10


class PumpDetail(Pump):
    programmed_at: datetime | None = Field(
        description="When it said last that its program was changed; null where it never has."
    )
    last_events: list[Event] = Field(description=f"The newest {SHOWN_OF_EACH}; all: `/events`.")
    last_gaps: list[Gap] = Field(description=f"The newest {SHOWN_OF_EACH}; all: `/gaps`.")


MOST_LOOKED_AT: Final = 5_000
"""Pumps that one request looks at, however few of them are asked for: then a page ends, and the next goes on."""
_LOOKED_AT_ONCE: Final = 500


@router.get("")
async def list_pumps(
    *,
    context: Ctx,
    request: Request,
    account: Viewer,
    site: Annotated[str | None, Query(pattern=WORD)] = None,
    q: Annotated[str | None, Query(pattern=WORD, description="A part of the pump's id, in any case.")] = None,
    state: Annotated[list[State] | None, Query(description="May be repeated.")] = None,
    condition: Annotated[Condition | None, Query(description="Of which `verdict` is known.")] = None,
    verdict: Annotated[Verdict, Query(description="Of `condition`.")] = Verdict.HOLDS,
    low_in_d: Annotated[
        float | None,
        Query(ge=0, le=10_000, description="May be empty within so many days, at the most that it may give."),
    ] = None,
    sort: Annotated[queries.Sort, Query(description="A cursor goes on in the order in which it was given.")] = (
        queries.Sort.PUMP_ID
    ),
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> PumpPage:
    """All pumps, each with its latest values, open alerts and verdicts.

    An order other than that of the ids, and who is in it, may be some seconds old; what is said of each pump is not.
    A page may hold fewer than `limit` and still not be the last: `next_cursor` says so.
    """
    if condition in NOT_OF_A_PUMP:
        raise wrong_field("query", "condition", "is not of a pump")
    after, place = _after(page, sort)
    now = context.clock()
    # What was written to hold is found by the database; silence and the registry decide about the rest.
    holding = condition if verdict is Verdict.HOLDS and condition not in _JUDGED_HERE else None
    wanted = limit if state is None and condition is None else _LOOKED_AT_ONCE
    seen = None if account.seen is None else tuple(account.seen)
    items: list[Pump] = []
    looked_at, more = 0, True
    while more and len(items) < limit and looked_at < MOST_LOOKED_AT:
        chosen = queries.Chosen(after, site, q, wanted + 1, holding, low_in_d, seen)
        rows, last, more = await _next(context, request.app.state.orders, sort, chosen, place)
        for at, row in enumerate(rows, start=1):
            pump = Pump.of(row, context.rulebook, now)
            looked_at, after, place = looked_at + 1, pump.pump_id, row.get("place")
            fits = condition is None or pump.verdicts[condition].verdict is verdict
            if fits and (state is None or pump.state in state):
                items.append(pump)
            if len(items) == limit:
                more = more or at < len(rows)
                break
        else:
            after, place = last
    key = (after,) if place is None else (place, after)
    return PumpPage(items=items, next_cursor=cursor.encode(*key) if more else None)


Orders = Shown[tuple[queries.Sort, queries.Chosen, float | None], list[asyncpg.Record]]
"""Which pumps come first: by the sort, what was chosen, and the place after which the page begins."""


def orders() -> Orders:
    return Orders(new_for_s=1.0, shown_for_s=2.0)


class _Next(NamedTuple):
    rows: list[asyncpg.Record]
    last: tuple[str, float | None]
    """Id and place of the one behind which the next are: it may have been erased since it was given its place."""
    more: bool


async def _next(
    context: Context, orders: Orders, sort: queries.Sort, chosen: queries.Chosen, after_place: float | None
) -> _Next:
    """The next pumps, one fewer than `chosen.limit`."""
    shown = chosen.limit - 1

    async def places() -> list[asyncpg.Record]:
        async with context.database() as connection:
            return await queries.places(connection, sort, chosen, after_place, context.clock())

    if sort is queries.Sort.PUMP_ID:
        async with context.database() as connection:
            found = await queries.pumps(connection, chosen, context.clock())
        return _Next(found[:shown], (found[:shown][-1]["pump_id"] if found else "", None), len(found) > shown)
    placed = await orders.get((sort, chosen, after_place), places)  # while this holds no connection that it may need
    last = (placed[:shown][-1]["pump_id"], placed[:shown][-1]["place"]) if placed else ("", None)
    async with context.database() as connection:
        return _Next(await queries.pumps_at(connection, placed[:shown], chosen), last, len(placed) > shown)


def _after(page: str | None, sort: queries.Sort) -> tuple[str, float | None]:
    """Of the last pump of the page before, its id, and its place where they are not in the order of the ids."""
    if page is None:
        return "", None
    if sort is queries.Sort.PUMP_ID:
        return cursor.decode(page, cursor.AfterPump).pump_id, None
    last = cursor.decode(page, cursor.AfterPlace)
    return last.pump_id, last.place


_JUDGED_HERE: Final = frozenset({Condition.SILENCE, Condition.UNREGISTERED})


@router.get("/{pump_id}", responses=answers(HTTPStatus.NOT_FOUND))
async def get_pump(context: Ctx, connection: Database, response: Response, pump_id: PumpId) -> PumpDetail:
    """One pump, with what happened to it last. The ETag is the version of its registry entry."""
    row = await _row(connection, response, pump_id)
    key, shown = row["pump"], Pump.of(row, context.rulebook, context.clock())
    last = {"before": cursor.LAST_POSITION, "limit": SHOWN_OF_EACH}
    happened = await queries.events(connection, key, since=None, until=None, kind=None, **last)
    missing = await queries.gaps(connection, key, **last)
    return PumpDetail(
        **dict(shown),
        programmed_at=await queries.programmed_at(connection, key),
        last_events=[Event.of(row) for row in happened],
        last_gaps=[Gap.of(row) for row in missing],
    )


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
    if_match: versions.IfMatch = None,
) -> Pump:
    """Write the whole registry entry of a pump: a new one (201), or in place of the stored one (200).

    With `If-Match` it is refused (412) unless the stored version is still that one.
    """
    entry = _entry(await request.body(), pump_id, context)
    if not account.sees(entry.site):
        raise wrong_field("body", "site", f"must be one that {account.name} sees")
    async with connection.transaction():
        stored = await registry.entry_for_update(connection, pump_id)
        versions.check(if_match, None if stored is None else stored["version"], "pump")
        written = await registry.upsert(connection, [entry], context.settings.shard)
        before = {name: stored[name] for name in entry.__struct_fields__} if stored else None
        detail = {"before": before, "after": entry, "version": (written.created | written.changed).get(pump_id)}
        await audit(connection, account.name, "pump_written", pump_id, detail)
    response.status_code = HTTPStatus.CREATED if written.created else HTTPStatus.OK
    return Pump.of(await _row(connection, response, pump_id), context.rulebook, context.clock())


async def _row(connection: asyncpg.Connection, response: Response, pump_id: str) -> asyncpg.Record:
    """The pump as it is shown, its version in the response's headers. Raises Problem (404)."""
    row = await queries.pump(connection, pump_id)
    if row is None:
        raise not_found(f"pump {pump_id}")
    versions.tag(response, row["version"])
    return row


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
