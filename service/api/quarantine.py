"""What could not be understood? The messages kept aside, each with its reason."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from service.api import cursor
from service.api.context import TEXT, WORD, Administrator, Ctx, Cursor, Database, Instant, Limit, Viewer
from service.api.problems import Problem, answers, not_found
from service.postgres import aside
from service.postgres.aside import State

router = APIRouter(prefix="/quarantine", tags=["quarantine"])

SHOWN_BYTES: Final = 4096
Number = Annotated[int, Path(ge=1, le=cursor.LAST_POSITION)]
_ONE: Final = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


class Quarantined(BaseModel):
    id: int
    received_at: datetime
    state: State
    pump_id: str | None = Field(description="That its topic names; null: it names none.")
    topic: str = Field(examples=["pumps/v1/p000017/telemetry"])
    reason: str = Field(examples=["not_json"])
    detail: str
    length: int = Field(description="Bytes of the whole payload.")
    sha256: str = Field(description="Of the whole payload.")
    replay_asked_at: datetime | None
    replay_asked_by: str | None
    replayed_at: datetime | None = Field(description="It was read again, and what came of it is committed.")
    dropped_at: datetime | None
    dropped_by: str | None
    drop_reason: str | None

    @classmethod
    def _of(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: row[name] for name in Quarantined.model_fields}
        return given | {"sha256": row["sha256"].hex()}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Quarantined":
        return Quarantined(**cls._of(row))


class QuarantinedBytes(Quarantined):
    again_id: int | None = Field(description="It was read again and is still bad: as which it was kept aside then.")
    head_bytes: int = Field(description="How many of the bytes of the payload were kept, the first, at most 64 KiB.")
    text: str = Field(description=f"At most {SHOWN_BYTES} of them as UTF-8; others, and what is unprintable, as \\x….")
    hex: str = Field(description="The same bytes in hexadecimal.")
    head_base64: str = Field(description="All that were kept.")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "QuarantinedBytes":
        head: bytes = row["head"]
        shown = head[:SHOWN_BYTES]
        return cls(
            **cls._of(row),
            again_id=row["again_id"],
            head_bytes=len(head),
            text="".join(_printable(letter) for letter in shown.decode(errors="backslashreplace")),
            hex=shown.hex(" "),
            head_base64=base64.b64encode(head).decode(),
        )


def _printable(letter: str) -> str:
    return letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1]


class WhyDropped(BaseModel):
    reason: str = Field(
        min_length=1,
        max_length=2000,
        pattern=TEXT,
        examples=["A test of the vendor's; nothing of it is missing."],
    )


class ReplayAll(BaseModel):
    reason: str = Field(pattern=WORD, description="Why they were kept aside.", examples=["not_json"])
    pump_id: str | None = Field(default=None, pattern=WORD, description="Null: of all pumps.", examples=["p000017"])
    most: int = Field(default=1000, ge=1, le=10_000, description="The oldest, at most so many.")


class Asked(BaseModel):
    messages: int


class QuarantinePage(BaseModel):
    items: list[Quarantined]
    next_cursor: str | None


@router.get("")
async def list_quarantine(
    *,
    connection: Database,
    account: Viewer,
    reason: Annotated[str | None, Query(pattern=WORD)] = None,
    pump: Annotated[str | None, Query(pattern=WORD, description="The pump's id.")] = None,
    state: Annotated[list[State] | None, Query(description="May be repeated.")] = None,
    since: Annotated[Instant | None, Query(description="Received at or after this.")] = None,
    until: Annotated[Instant | None, Query(description="Received before this.")] = None,
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> QuarantinePage:
    """What was kept aside, the newest first, without its bytes."""
    before = cursor.decode(page, cursor.BeforePosition) if page else cursor.BeforePosition()
    rows = await aside.page(
        connection,
        before=before.position,
        reason=reason,
        since=since,
        until=until,
        pump_id=pump,
        states=state,
        seen=account.seen,
        limit=limit + 1,
    )
    items = [Quarantined.of(row) for row in rows[:limit]]
    return QuarantinePage(items=items, next_cursor=cursor.encode(items[-1].id) if len(rows) > limit else None)


@router.get("/{number}", responses=answers(HTTPStatus.NOT_FOUND))
async def get_quarantined(connection: Database, number: Number) -> QuarantinedBytes:
    """One message with its first bytes."""
    row = await aside.one(connection, number)
    if row is None:
        raise not_found(f"quarantined message {number}")
    return QuarantinedBytes.of(row)


@router.post("/replay", status_code=HTTPStatus.ACCEPTED)
async def replay_all(context: Ctx, connection: Database, account: Administrator, given: ReplayAll) -> Asked:
    """Read again what was kept aside for a reason, now that it is put right. What is still bad is kept aside again."""
    asked = await aside.ask_replay_all(
        connection, given.reason, given.pump_id, given.most, account.name, context.clock()
    )
    return Asked(messages=asked)


@router.post("/{number}/replay", status_code=HTTPStatus.ACCEPTED, responses=_ONE)
async def replay(context: Ctx, connection: Database, account: Administrator, number: Number) -> QuarantinedBytes:
    """Read one again, as it came and with the time at which it came; within seconds `state` is `replayed`.

    409: only its first bytes were kept, or that was done with it already.
    """
    with _refused():
        found = await aside.ask_replay(connection, number, account.name, context.clock())
    if not found:
        raise not_found(f"quarantined message {number}")
    return await get_quarantined(connection, number)


@router.post("/{number}/drop", responses=_ONE)
async def drop(
    context: Ctx, connection: Database, account: Administrator, number: Number, given: WhyDropped
) -> QuarantinedBytes:
    """Say that it is not needed, and why. It stays to be looked at: the ledger knows by it what did not come."""
    with _refused():
        found = await aside.drop(connection, number, given.reason, account.name, context.clock())
    if not found:
        raise not_found(f"quarantined message {number}")
    return await get_quarantined(connection, number)


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except aside.AsideRefusedError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
