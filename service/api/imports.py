"""How is the registry read from a CSV file over HTTP, and how is that taken back? Imports, listed and undone."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import asyncpg
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api import cursor
from service.api.bodies import MAX_BODY_BYTES
from service.api.context import Administrator, Context, Ctx, Cursor, Database, Limit
from service.api.problems import FieldError, Problem, answers, not_found, wrong_fields
from service.core.registry import COLUMNS, RegistryEntry, parse_registry
from service.postgres import imports as store
from service.postgres.accounts import Account

router = APIRouter(prefix="/registry/imports", tags=["pumps"])

PROBLEMS_SHOWN: Final = 100
Number = Annotated[int, Path(ge=1, le=cursor.LAST_POSITION)]
_CSV: Final = (
    f"{','.join(COLUMNS)}\n"
    "p000017,north,Europe/Zurich,rotor-20,rotor,computed,20,baclofen,baclofen,500,60,2026-12-31,true,true,300,2023-05-17\n"
)


class NewImport(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "fleet.csv", "csv": _CSV, "dry_run": True}]}
    )
    name: str = Field(
        default="",
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Of the file: so that people find it again.",
    )
    csv: str = Field(
        max_length=MAX_BODY_BYTES,
        description="As in docs/interface.md; a larger file is read by `pumpwatch pumps import`.",
    )
    dry_run: bool = Field(default=False, description="Only say what it would do.")


class Import(BaseModel):
    id: int | None = Field(description="Null: of a dry run, or where nothing was to be changed.")
    name: str
    made_at: datetime
    made_by: str
    created: int
    changed: int
    unchanged: int
    undone_at: datetime | None
    undone_by: str | None

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Import":
        return cls(**dict(row))


class ImportPage(BaseModel):
    items: list[Import]
    next_cursor: str | None


@router.get("")
async def list_imports(
    connection: Database, _: Administrator, limit: Limit = 100, page: Annotated[Cursor, Query(alias="cursor")] = None
) -> ImportPage:
    """What was imported, the newest first."""
    before = (cursor.decode(page, cursor.BeforePosition) if page else cursor.BeforePosition()).position
    rows = await store.imports(connection, before=before, limit=limit + 1)
    items = [Import.of(row) for row in rows[:limit]]
    return ImportPage(items=items, next_cursor=cursor.encode(items[-1].id) if len(rows) > limit else None)


@router.get("/{number}", responses=answers(HTTPStatus.NOT_FOUND))
async def get_import(connection: Database, _: Administrator, number: Number) -> Import:
    """One import."""
    return await _shown(connection, number)


@router.post("", status_code=HTTPStatus.CREATED, responses={200: {"model": Import}})
async def import_registry(
    context: Ctx, connection: Database, account: Administrator, response: Response, given: NewImport
) -> Import:
    """Enter and change pumps as a CSV says, all or nothing; each mistake is named with its line.

    200: nothing was to be changed, or it was a dry run.
    """
    entries = _entries(given.csv, context)
    made = await _written(connection, entries, account, given, context)
    if made.number is not None and not given.dry_run:
        return await _shown(connection, made.number)
    response.status_code = HTTPStatus.OK
    counts: dict[str, Any] = {name: getattr(made, name) for name in ("created", "changed", "unchanged")}
    at = context.clock()
    return Import(id=None, name=given.name, made_at=at, made_by=account.name, undone_at=None, undone_by=None, **counts)


@router.post("/{number}/undo", responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def undo_import(context: Ctx, connection: Database, account: Administrator, number: Number) -> Import:
    """Make the registry say what it said before, all or nothing. 409: something of it was changed since.

    A pump that was listed by it first is unlisted again; one that has never been heard is gone.
    """
    try:
        found = await store.undo(connection, number, account.name, context.clock(), context.settings.shard)
    except store.UndoRefusedError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    if not found:
        raise not_found(f"import {number}")
    return await _shown(connection, number)


async def _written(
    connection: asyncpg.Connection, entries: list[RegistryEntry], account: Account, given: NewImport, context: Context
) -> store.Imported:
    transaction = connection.transaction()
    await transaction.start()
    try:
        made = await store.import_entries(
            connection, entries, account.name, given.name, context.clock(), context.settings.shard
        )
    except BaseException:
        await transaction.rollback()
        raise
    await (transaction.rollback() if given.dry_run else transaction.commit())
    return made


def _entries(csv: str, context: Context) -> list[RegistryEntry]:
    entries, problems = parse_registry(csv, context.time_zones)
    if problems:
        raise wrong_fields(
            [
                FieldError(place="body", field=f"csv.{problem.line}", detail=problem.message)
                for problem in problems[:PROBLEMS_SHOWN]
            ]
        )
    return entries


async def _shown(connection: asyncpg.Connection, number: int) -> Import:
    row = await store.import_of(connection, number)
    if row is None:
        raise not_found(f"import {number}")
    return Import.of(row)
