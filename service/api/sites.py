"""Which sites are there, and how long does each keep its readings?"""

from http import HTTPStatus
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api import cursor, versions
from service.api.context import WORD, Administrator, Context, Ctx, Cursor, Database, Limit, Viewer
from service.api.direct import Direct
from service.api.problems import answers, not_found, wrong_field
from service.postgres import site_entries as store
from service.postgres.accounts import audit

router = APIRouter(prefix="/sites", tags=["sites"], route_class=Direct)

SiteName = Annotated[str, Path(pattern=WORD, examples=["north"])]


class SiteEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(
        min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", description="For people.", examples=["North ward"]
    )
    time_zone: str = Field(examples=["Europe/Zurich"])
    retention_d: int | None = Field(
        default=None,
        ge=8,
        le=36_500,
        description="For how many days its readings are kept; null: as the service is set.",
        examples=[730],
    )


class Site(SiteEntry):
    site: str
    retention_in_force_d: int
    pumps: int
    version: int


class SitePage(BaseModel):
    items: list[Site]
    next_cursor: str | None


@router.get("")
async def list_sites(
    *,
    context: Ctx,
    connection: Database,
    account: Viewer,
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> SitePage:
    """All sites, in the order of their names."""
    after = cursor.decode(page, cursor.AfterPump) if page else cursor.AfterPump()
    rows = await store.sites(connection, after=after.pump_id, limit=limit + 1, seen=account.seen)
    items = [_site(row, context) for row in rows[:limit]]
    return SitePage(items=items, next_cursor=cursor.encode(items[-1].site) if len(rows) > limit else None)


@router.get("/{site}", responses=answers(HTTPStatus.NOT_FOUND))
async def get_site(context: Ctx, connection: Database, response: Response, site: SiteName) -> Site:
    """One site. The ETag is its version."""
    return await _shown(context, connection, response, site)


@router.put("/{site}", responses=answers(HTTPStatus.PRECONDITION_FAILED))
async def put_site(
    *,
    context: Ctx,
    connection: Database,
    account: Administrator,
    response: Response,
    site: SiteName,
    given: SiteEntry,
    if_match: versions.IfMatch = None,
) -> Site:
    """Enter a site, or change it. A shorter retention deletes within the hour what is older: that is not undone."""
    if given.time_zone not in context.time_zones:
        raise wrong_field("body", "time_zone", "not the name of a time zone, as Europe/Zurich is one")
    async with connection.transaction():
        stored = await store.locked(connection, site)
        versions.check(if_match, None if stored is None else stored["version"], "site")
        await store.write(connection, site, given.name, given.time_zone, given.retention_d)
        before = None if stored is None else dict(stored)
        await audit(connection, account.name, "site_written", site, {"before": before, "after": given.model_dump()})
    return await _shown(context, connection, response, site)


async def _shown(context: Context, connection: asyncpg.Connection, response: Response, site: str) -> Site:
    row = await store.site(connection, site)
    if row is None:
        raise not_found(f"site {site}")
    versions.tag(response, row["version"])
    return _site(row, context)


def _site(row: asyncpg.Record, context: Context) -> Site:
    in_force_d = context.settings.retention_d if row["retention_d"] is None else row["retention_d"]
    return Site(**row, retention_in_force_d=in_force_d)
