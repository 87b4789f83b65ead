"""Who is told of which alerts, in which order? Contacts, rotas, policies and the rules that choose between them."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final, Self

import asyncpg
import msgspec
from fastapi import APIRouter, Body, Header, Path, Query, Response
from pydantic import BaseModel, Field

from service.api.context import Administrator, Ctx, Database, Instant
from service.api.problems import FieldError, Problem, answers, not_found, wrong_fields
from service.core.change import Priority
from service.core.preview import Supposed, preview
from service.core.reading import DrugClass
from service.core.roster import RULES, Problems, document_problems, parse, used_by
from service.postgres import notification_rows, rosters

router = APIRouter(prefix="/escalation", tags=["escalation"])


class Kind(StrEnum):
    CONTACTS = "contacts"
    ROTAS = "rotas"
    POLICIES = "policies"

    @property
    def one(self) -> str:
        return {"contacts": "contact", "rotas": "rota", "policies": "policy"}[self.value]


Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}$", examples=["ward"])]
IfMatch = Annotated[str | None, Header(description='The version that is to be replaced: `"3"`.')]
_ONE: Final = answers(HTTPStatus.NOT_FOUND)
_CHANGE: Final = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
_EXAMPLE: Final = {
    "name": "ward",
    "steps": [{"after_s": 0, "targets": ["rota:night"]}, {"after_s": 300, "targets": ["contact:head nurse"]}],
    "repeat_after_s": 300,
}
_SAID: Final = "docs/interface.md says in which form."
Document = Annotated[dict[str, Any], Body(examples=[_EXAMPLE], description=_SAID)]
RuleList = Annotated[
    dict[str, Any], Body(examples=[{"rules": [{"policy": "ward", "priority": "high"}]}], description=_SAID)
]


class Kept(BaseModel):
    """The version that counts."""

    name: str
    version: int
    document: dict[str, Any]
    changed_at: datetime
    changed_by: str

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        given = {name: row[name] for name in cls.model_fields if name != "document"}
        return cls(**given, document=msgspec.json.decode(row["document"]))


class KeptList(BaseModel):
    items: list[Kept]


class Gone(BaseModel):
    name: str


class Called(BaseModel):
    what: str = Field(description="`step 1` …, or `repeat`.")
    at: datetime
    targets: list[str]
    endpoints: list[str] = Field(description="Those that may be told; none: it is passed over at once.")


class Previewed(BaseModel):
    """Who would be told if nobody answered. Of the repeats, the first three."""

    policy: str
    because: str
    quiet_until: datetime | None
    calls: list[Called]


@router.get("/preview")
async def preview_escalation(
    *,
    context: Ctx,
    connection: Database,
    site: Annotated[str | None, Query(max_length=200)] = None,
    drug_class: DrugClass = DrugClass.UNKNOWN,
    priority: Priority = Priority.HIGH,
    simulated: bool = False,
    at: Annotated[Instant | None, Query(description="As if it were raised then; now, if it is left out.")] = None,
) -> Previewed:
    """Who would be told of an alert, and when."""
    zone = await rosters.zone_of_site(connection, site)
    supposed = Supposed(site=site, drug_class=drug_class, priority=priority, simulated=simulated, time_zone=zone)
    roster = await rosters.load(connection, {zone})
    routes = await notification_rows.routes(connection)
    found = preview(supposed, roster, routes, at or context.clock())
    return Previewed.model_validate(asdict(found))


@router.get("/rules")
async def get_rules(connection: Database, response: Response) -> Kept:
    """Which policy is for which alerts; version 0 while there are none: everybody is told of everything."""
    rows = await rosters.kept(connection, RULES, RULES)
    if rows:
        return _shown(rows[0], response)
    response.headers["ETag"] = '"0"'
    never = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return Kept(name=RULES, version=0, document={"rules": []}, changed_at=never, changed_by="")


@router.put("/rules", responses=_CHANGE)
async def put_rules(
    *,
    context: Ctx,
    connection: Database,
    account: Administrator,
    response: Response,
    given: RuleList,
    if_match: IfMatch = None,
) -> Kept:
    """Replace the whole list. The most particular rule that fits counts; of equals the first."""
    return await _put(connection, _Asked(RULES, RULES, given, account.name, context.clock(), if_match), response)


@router.get("/{kind}")
async def list_kept(connection: Database, kind: Kind) -> KeptList:
    """All contacts, rotas or policies."""
    return KeptList(items=[Kept.of(row) for row in await rosters.kept(connection, kind.one)])


@router.get("/{kind}/{name}", responses=_ONE)
async def get_kept(connection: Database, response: Response, kind: Kind, name: Name) -> Kept:
    """One of them, as it counts now."""
    return _shown(await _one(connection, kind.one, name), response)


@router.put("/{kind}/{name}", responses=_CHANGE)
async def put_kept(
    *,
    context: Ctx,
    connection: Database,
    account: Administrator,
    response: Response,
    kind: Kind,
    name: Name,
    given: Document,
    if_match: IfMatch = None,
) -> Kept:
    """Create or replace it. Escalations that are under way keep the policy that they began with.

    With `If-Match` it is refused (412) unless the stored version is still that one; `"0"` is that there is none.
    """
    asked = _Asked(kind.one, name, given, account.name, context.clock(), if_match)
    return await _put(connection, asked, response)


@router.delete("/{kind}/{name}", responses=_CHANGE)
async def delete_kept(
    *,
    context: Ctx,
    connection: Database,
    account: Administrator,
    kind: Kind,
    name: Name,
    if_match: IfMatch = None,
) -> Gone:
    """Remove it. Refused (409) while a rota, a policy or a rule names it."""
    async with connection.transaction():
        await rosters.lock(connection)
        _match((await _one(connection, kind.one, name))["version"], if_match)
        if users := used_by(kind.one, name, await rosters.load(connection)):
            raise Problem(HTTPStatus.CONFLICT, f"it is named by {', '.join(users)}")
        await rosters.put(connection, kind.one, name, None, account.name, context.clock())
    return Gone(name=name)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who wants to put what in the place of which version, when."""

    kind: str
    name: str
    given: dict[str, Any]
    actor: str
    now: datetime
    if_match: str | None


async def _put(connection: asyncpg.Connection, asked: _Asked, response: Response) -> Kept:
    kind, name = asked.kind, asked.name
    document, problems = parse(kind, asked.given if kind == RULES else {"name": name, **asked.given})
    if document is None:
        raise _refusal(problems)
    async with connection.transaction():
        await rosters.lock(connection)
        rows = await rosters.kept(connection, kind, name)
        _match(rows[0]["version"] if rows else 0, asked.if_match)
        roster = await rosters.load(connection, {str(getattr(document, "time_zone", "UTC"))})
        if problems := document_problems(name, document, roster, *await rosters.names(connection)):
            raise _refusal(problems)
        await rosters.put(connection, kind, name, document, asked.actor, asked.now)
        return _shown(await _one(connection, kind, name), response)


async def _one(connection: asyncpg.Connection, kind: str, name: str) -> asyncpg.Record:
    rows = await rosters.kept(connection, kind, name)
    if not rows:
        raise not_found(f"{kind} {name}")
    return rows[0]


def _match(version: int, if_match: str | None) -> None:
    wanted = {part.strip().removeprefix("W/").strip('"') for part in (if_match or "*").split(",")}
    if "*" not in wanted and str(version) not in wanted:
        detail = f"the stored version is {version}, not {if_match}: somebody else has changed it; read it again"
        raise Problem(HTTPStatus.PRECONDITION_FAILED, detail)


def _refusal(problems: Problems) -> Problem:
    return wrong_fields([FieldError(place="body", field=field, detail=what) for field, what in problems])


def _shown(row: asyncpg.Record, response: Response) -> Kept:
    response.headers["ETag"] = f'"{row["version"]}"'
    return Kept.of(row)
