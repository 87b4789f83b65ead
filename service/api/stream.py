"""How does a page stay up to date without asking? Server-sent events, which a browser resumes where it was."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from service.api.context import WORD, Context, Ctx, Viewer
from service.api.live import Live, Look, Shown, Wanted, since
from service.api.problems import wrong_field
from service.postgres.changes import Place, newest

router = APIRouter(tags=["stream"])

KINDS: Final = ("alert", "verdict", "reading")
LASTS_S: Final = 300.0
"""Then it ends and the browser comes back, with the rights that its account has by then."""
BEATS_EVERY_S: Final = 15.0
MOST_PUMPS: Final = 200
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_DESCRIPTION: Final = """Follow alerts, verdicts and the newest readings of some pumps as they change.

Events `alert` and `verdict` have an id, and come again after `Last-Event-ID`; `reading` has none, the next one replaces
it. `hello` comes first, and says where the stream begins. `reload`: what was missed is no longer kept, read anew. `bye`
says why it ends; a browser comes back by itself."""


def _kinds(text: str) -> frozenset[str]:
    kinds = frozenset(text.split(","))
    if not kinds <= set(KINDS):
        raise wrong_field("query", "kinds", f"must be some of {', '.join(KINDS)}")
    return kinds


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    description=_DESCRIPTION,
)
async def stream(
    context: Ctx,
    request: Request,
    account: Viewer,
    kinds: Annotated[str, Query(max_length=60, examples=["alert,verdict"])] = "alert",
    site: Annotated[list[Annotated[str, Query(pattern=WORD)]] | None, Query(max_length=100)] = None,
    pump: Annotated[
        list[Annotated[str, Query(pattern=WORD)]] | None,
        Query(max_length=MOST_PUMPS, description="Needed for readings."),
    ] = None,
    last_event_id: Annotated[str | None, Header(max_length=60, description="As the last event had it.")] = None,
) -> StreamingResponse:
    wanted = Wanted(_kinds(kinds), frozenset(site or ()), frozenset(pump or ()))
    if "reading" in wanted.kinds and not wanted.pumps:
        raise wrong_field("query", "pump", f"name the pumps whose readings are wanted, at most {MOST_PUMPS}")
    place = None if not last_event_id else Place.parse(last_event_id)
    if last_event_id and place is None:
        raise wrong_field("header", "last-event-id", "is not the id of an event of this stream")
    live: Live = request.app.state.live
    events = _events(context, live, Look(account, wanted), place)
    return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)


async def _events(context: Context, live: Live, look: Look, place: Place | None) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    ends_at = clock() + LASTS_S
    await live.add(look)  # before what was missed is read: nothing falls between
    try:
        missed: list[Shown] | None = []
        async with context.database() as connection:
            if place is None:
                place = await newest(connection)
            else:
                found = await since(connection, look, place)
                missed, place = found if found is not None else (None, await newest(connection))
        yield _event("hello" if missed is not None else "reload", "{}", place)
        for each in missed or ():
            yield _event(each.kind, each.body, each.place)
        while clock() < ends_at and not look.why:
            shown = await _next(look, min(BEATS_EVERY_S, max(0.0, ends_at - clock())))
            if shown is None:
                yield ": still here\n\n"
            elif not look.why and (shown.place is None or shown.place > place):
                yield _event(shown.kind, shown.body, shown.place)
        yield _event("bye", json.dumps({"reason": look.why or "come_back"}))
    finally:
        live.remove(look)


async def _next(look: Look, within_s: float) -> Shown | None:
    try:
        async with asyncio.timeout(within_s):
            return await look.queue.get()
    except TimeoutError:
        return None


def _event(kind: str, body: str, place: Place | None = None) -> str:
    return (f"id: {place}\n" if place is not None else "") + f"event: {kind}\ndata: {body}\n\n"
