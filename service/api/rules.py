"""By what is judged? The rulebook in force, every limit of a pump, and what people set over the file."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.api import narrowed
from service.api.context import WORD, Administrator, Ctx, Database, Limit, PumpId, Viewer
from service.api.problems import FieldError, answers, not_found, wrong_field, wrong_fields
from service.core.change import Condition
from service.core.explanation import explained
from service.core.override import Override, Whose
from service.core.reading import DrugClass
from service.core.rulebook_check import read_one
from service.postgres import overrides as store
from service.postgres import queries, rulebooks, shadow

router = APIRouter(prefix="/rules", tags=["rules"])

Value = float | bool | str | list[str]
Layer = Literal["drug_class", "site", "pump"]


class FileProblem(BaseModel):
    line: int
    message: str


class RulebookStatus(BaseModel):
    version: str = Field(examples=["e3b0c44298fc1c14"], description="By this one is judged now.")
    file_problems: list[FileProblem] = Field(
        description="What is wrong with the file. While there is anything, what it said before stays in force."
    )
    override_problems: list[str] = Field(description="Overrides that this version cannot take; they are left out.")


class Version(BaseModel):
    version: str
    since: datetime
    until: datetime | None = Field(description="null for the one in force.")


class VersionList(BaseModel):
    items: list[Version]


class LimitInForce(BaseModel):
    name: str = Field(examples=["stall.missed_ul"])
    value: Value
    unit: str
    default: Value
    source: str = Field(examples=["file: drug_class baclofen"])
    reason: str
    author: str
    expires_at: datetime | None


class PumpRules(BaseModel):
    pump_id: str
    rulebook_version: str
    limits: list[LimitInForce]


class NewOverride(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scope: Layer = Field(examples=["pump"])
    name: str = Field(pattern=WORD, examples=["p000017"], description="Of the drug class, the site or the pump.")
    key: str = Field(max_length=100, examples=["stall.missed_ul"])
    value: Value = Field(examples=[8.0], description="A number, true or false, or one priority a step.")
    reason: str = Field(default="", max_length=500, examples=["smaller boluses while titrating"])
    author: str = Field(default="", max_length=500, description="Who answers for it; the token's name without it.")
    expires_at: AwareDatetime | None = Field(
        default=None, description="Needed for a site and a pump.", examples=["2026-12-31T00:00:00Z"]
    )


class OverrideRow(BaseModel):
    id: int
    scope: Layer
    name: str
    key: str
    value: Value
    reason: str
    author: str
    made_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None


class OverrideList(BaseModel):
    items: list[OverrideRow]


class MadeOverride(BaseModel):
    id: int


class ShadowAlert(BaseModel):
    pump_id: str
    condition: Condition
    priority: str = Field(description="The highest that it would have reached.")
    began_at: datetime
    detected_at: datetime
    ended_at: datetime | None
    recorded_at: datetime
    rulebook_version: str
    evidence: dict[str, Any]


class ShadowList(BaseModel):
    items: list[ShadowAlert]


@router.get("")
async def get_rules(context: Ctx, connection: Database, account: Viewer) -> RulebookStatus:
    """Which rulebook is in force, and what is wrong with the file and the overrides as they are now.

    What is wrong names pumps: whoever sees some sites alone is not told of it.
    """
    found = [FileProblem(line=each.line, message=each.message) for each in context.rulebook_problems]
    refused = await store.refused(connection)
    if account.sites is not None:
        found, refused = [], []
    return RulebookStatus(version=context.rulebook.version, file_problems=found, override_problems=refused)


@router.get("/versions")
async def list_versions(connection: Database, limit: Limit = 100) -> VersionList:
    """Which rulebooks were in force, the newest first."""
    return VersionList(items=[Version(**row) for row in await rulebooks.history(connection, limit)])


@router.get("/pumps/{pump_id}", responses=answers(HTTPStatus.NOT_FOUND))
async def get_pump_rules(context: Ctx, connection: Database, pump_id: PumpId) -> PumpRules:
    """Every limit, priority and switch in force for a pump, and what put it there."""
    row = await queries.pump(connection, pump_id)
    if row is None:
        raise not_found(f"pump {pump_id}")
    whose = Whose(DrugClass(row["drug_class"]), row["site"] or "", pump_id)
    limits = [
        LimitInForce(
            name=f"{each.section}.{each.key}",
            value=_shown(each.value),
            unit=each.unit,
            default=_shown(each.default),
            source=each.source,
            reason=each.override.reason if each.override else "",
            author=each.override.author if each.override else "",
            expires_at=_moment(each.override),
        )
        for each in explained(context.rulebook, whose)
    ]
    return PumpRules(pump_id=pump_id, rulebook_version=context.rulebook.version, limits=limits)


@router.get("/overrides")
async def list_overrides(
    context: Ctx,
    connection: Database,
    account: Viewer,
    *,
    ended: Annotated[bool, Query(description="Those that are over, too.")] = False,
) -> OverrideList:
    """What people have set over the file, the newest first."""
    rows = await store.listed(connection, context.clock(), ended=ended, seen=account.seen)
    return OverrideList(items=[OverrideRow(**{**row, "key": f"{row['section']}.{row['key']}"}) for row in rows])


@router.post("/overrides", status_code=HTTPStatus.CREATED)
async def set_override(context: Ctx, connection: Database, account: Administrator, given: NewOverride) -> MadeOverride:
    """Set one value for a drug class, a site or a pump. In force within seconds; it ends an earlier one of the same.

    It is checked as a line of the file would be, and against everything that it joins.
    """
    await narrowed.check_override(connection, account, given.scope, given.name)
    said: dict[str, Any] = {"value": given.value, "author": given.author or account.name}
    if given.reason:
        said["reason"] = given.reason
    if given.expires_at is not None:
        said["expires"] = given.expires_at
        if given.expires_at <= context.clock():
            raise wrong_field("body", "expires_at", "must lie ahead")
    over = [*context.rulebook.overrides, *await store.open_overrides(connection)]
    found = read_one(given.scope, given.name, given.key, said, over)
    if not isinstance(found, Override):
        raise wrong_fields([FieldError(place="body", field="value", detail=what) for what in found])
    return MadeOverride(id=await store.set_override(connection, found, account.name, context.clock()))


@router.delete("/overrides/{number}", status_code=HTTPStatus.NO_CONTENT, responses=answers(HTTPStatus.NOT_FOUND))
async def end_override(
    context: Ctx, connection: Database, account: Administrator, number: Annotated[int, Path(ge=1, le=2**31 - 1)]
) -> Response:
    """End one. What was decided by it stays as it was decided."""
    if not await store.end_override(connection, number, account.name, context.clock()):
        raise not_found(f"open override {number}")
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/shadow")
async def list_shadow(
    connection: Database,
    account: Viewer,
    condition: Condition | None = None,
    pump_id: Annotated[str | None, Query(pattern=WORD)] = None,
    limit: Limit = 100,
) -> ShadowList:
    """What conditions in shadow would have raised, the newest first. Nobody was told."""
    rows = await shadow.newest(connection, condition, pump_id, limit, account.seen)
    return ShadowList(items=[ShadowAlert(**row) for row in rows])


def _shown(value: object) -> Any:
    return [str(word) for word in value] if isinstance(value, tuple) else value


def _moment(override: Override | None) -> Any:
    return None if override is None or override.expires_ms is None else override.expires_ms / 1000
