"""What does a clinician record of a pump? A refill, an MRI exam, a planned absence, and that it was exchanged."""

from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, Self

import asyncpg
import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.api import cursor
from service.api.context import TEXT, WORD, Clinician, Context, Ctx, Cursor, Database, Instant, Limit, PumpId, key_of
from service.api.problems import FieldError, Problem, answers, not_found, wrong_field, wrong_fields
from service.core.reading import DrugClass
from service.core.registry import RegistryEntry, entry_of
from service.postgres import care as store
from service.postgres import exchanges, registry
from service.postgres.accounts import audit
from service.postgres.care import Kind, Recorded

router = APIRouter(prefix="/pumps/{pump_id}", tags=["care"])

_FILLED: Final = ("drug", "drug_class", "concentration_ug_ml")
LONGEST_MRI: Final = timedelta(hours=8)
LONGEST_ABSENCE: Final = timedelta(days=90)
RECORDED_WITHIN: Final = timedelta(days=366)
AHEAD_AT_MOST: Final = timedelta(days=366)
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_ONE: Final = answers(HTTPStatus.NOT_FOUND)
_NEW: Final = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
Number = Annotated[int, Path(ge=1, le=cursor.LAST_POSITION)]
Note = Annotated[
    str,
    Field(
        max_length=2000,
        pattern=TEXT,
        description="No personal data.",
        examples=["As planned."],
    ),
]
VolumeMl = Annotated[float, Field(ge=0, le=100)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Refill(_Given):
    at: AwareDatetime = Field(examples=["2026-11-22T20:15:00Z"])
    reservoir_after_ml: VolumeMl = Field(examples=[20.0])
    aspirated_ml: VolumeMl | None = Field(default=None, description="What was drawn off before.", examples=[2.6])
    next_refill_on: date | None = Field(default=None, description="For the registry.", examples=["2027-01-31"])
    drug: str | None = Field(default=None, description="For the registry, where it is another one than before.")
    drug_class: DrugClass | None = None
    concentration_ug_ml: float | None = Field(default=None, examples=[500.0])
    note: Note = ""


class Window(_Given):
    from_at: AwareDatetime = Field(examples=["2026-11-23T08:00:00Z"])
    until_at: AwareDatetime = Field(examples=["2026-11-23T09:00:00Z"])
    note: Note = ""


class Exchange(_Given):
    pump_id: str = Field(pattern=WORD, description="Of the new pump.", examples=["p000018"])
    at: AwareDatetime = Field(examples=["2026-11-22T09:30:00Z"])
    changes: dict[str, Any] = Field(
        default_factory=dict,
        max_length=20,
        description="Fields of its registry entry that are not as the old pump's.",
        examples=[{"model": "sensor-40", "capacity_ml": 40.0}],
    )
    note: Note = ""


class Care(BaseModel):
    id: int
    pump_id: str = Field(examples=["p000017"])
    kind: Kind
    from_at: datetime
    until_at: datetime | None = Field(description="Null: it was a moment.")
    reservoir_after_ml: float | None = Field(description="Of a refill, as `aspirated_ml`.")
    aspirated_ml: float | None
    successor: str | None = Field(description="Of an exchange: the new pump's id.")
    note: str
    recorded_at: datetime
    recorded_by: str
    ended_at: datetime | None = Field(description="Ended before its time, or taken back.")
    ended_by: str | None

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        body = msgspec.json.decode(row["body"])
        given = {name: row[name] for name in cls.model_fields if not name.endswith("_ml")}
        return cls(**given, reservoir_after_ml=body.get("reservoir_after_ml"), aspirated_ml=body.get("aspirated_ml"))


class CarePage(BaseModel):
    items: list[Care]
    next_cursor: str | None


@router.get("/care", responses=_ONE)
async def list_care(
    *,
    connection: Database,
    pump_id: PumpId,
    kind: Annotated[list[Kind] | None, Query(description="May be repeated.")] = None,
    since: Annotated[Instant | None, Query(alias="from", description="Not over before this.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Begun before this.")] = None,
    limit: Limit = 100,
    page: Annotated[Cursor, Query(alias="cursor")] = None,
) -> CarePage:
    """What people recorded of the pump, what was recorded last first."""
    before = (cursor.decode(page, cursor.BeforePosition) if page else cursor.BeforePosition()).position
    key = await key_of(connection, pump_id)
    kinds = None if kind is None else [str(each) for each in kind]
    rows = await store.page(connection, key, before=before, kinds=kinds, since=since, until=until, limit=limit + 1)
    items = [Care.of(row) for row in rows[:limit]]
    return CarePage(items=items, next_cursor=cursor.encode(items[-1].id) if len(rows) > limit else None)


@router.post("/refills", status_code=HTTPStatus.CREATED, responses=_NEW)
async def record_refill(context: Ctx, connection: Database, account: Clinician, pump_id: PumpId, given: Refill) -> Care:
    """Record a refill that was made. The rules follow what the pump itself says of it; people see both."""
    _not_far(context.clock(), at=given.at)
    body = {"reservoir_after_ml": given.reservoir_after_ml, "aspirated_ml": given.aspirated_ml}
    recorded = Recorded(kind=Kind.REFILL, from_at=given.at, body=body, note=given.note)
    filled = {name: value for name in _FILLED if (value := getattr(given, name)) is not None}
    async with connection.transaction():
        stored = await registry.entry_for_update(connection, pump_id)
        if stored is None:
            raise not_found(f"pump {pump_id}")
        if filled:
            await _fill(context, connection, account.name, stored, filled)
        return await _record(
            connection, pump_id, recorded, account.name, context.clock(), next_refill_on=given.next_refill_on
        )


@router.post("/mri-windows", status_code=HTTPStatus.CREATED, responses=_NEW)
async def record_mri_window(
    context: Ctx, connection: Database, account: Clinician, pump_id: PumpId, given: Window
) -> Care:
    """Tell of an MRI exam: a stall in it is told of as one that the exam explains, one step lower, as in docs/rules.md.

    It holds for what the pump sends after it was recorded. One exam at a time; at most 8 h.
    """
    return await _window(context, connection, account.name, pump_id, given, Kind.MRI_WINDOW)


@router.post("/absences", status_code=HTTPStatus.CREATED, responses=_NEW)
async def record_absence(
    context: Ctx, connection: Database, account: Clinician, pump_id: PumpId, given: Window
) -> Care:
    """Say when silence of the pump is expected: nobody is told of it before that is over. At most 90 days.

    What is known of the pump stays unknown while it is silent, and an alert that is open stays as it is.
    """
    return await _window(context, connection, account.name, pump_id, given, Kind.ABSENCE)


@router.post("/exchange", status_code=HTTPStatus.CREATED, responses=_NEW)
async def record_exchange(
    context: Ctx, connection: Database, account: Clinician, pump_id: PumpId, given: Exchange
) -> Care:
    """Record that another pump took this one's place: it goes out of service, and the new one is listed as it was.

    Each shows the other (`replaces`, `replaced_by`), so that the history goes on.
    """
    now = context.clock()
    _not_far(now, at=given.at)
    async with connection.transaction():
        stored = await registry.entry_for_update(connection, pump_id)
        if stored is None:
            raise not_found(f"pump {pump_id}")
        changes = _changes(given.changes, stored, context.time_zones)
        if "site" in changes and not account.sees(changes["site"]):
            raise wrong_field("body", "changes.site", f"must be one that {account.name} sees")
        try:
            await exchanges.exchange(
                connection,
                pump_id,
                given.pump_id,
                changes,
                account.name,
                now,
                at=given.at,
                note=given.note,
                shard=context.settings.shard,
            )
        except exchanges.ExchangeRefusedError as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    rows = await store.page(
        connection, await key_of(connection, pump_id), before=cursor.LAST_POSITION, kinds=[Kind.EXCHANGE], limit=1
    )
    return Care.of(rows[0])


@router.post("/care/{number}/end", responses=_NEW)
async def end_care(context: Ctx, connection: Database, account: Clinician, pump_id: PumpId, number: Number) -> Care:
    """End an exam or an absence before its time, or take back what was recorded by mistake."""
    try:
        found = await store.end(connection, pump_id, number, account.name, context.clock())
    except store.CareRefusedError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    if not found:
        raise not_found(f"record {number} of pump {pump_id}")
    return await _shown(connection, pump_id, number)


async def _window(
    context: Ctx, connection: asyncpg.Connection, actor: str, pump_id: str, given: Window, kind: Kind
) -> Care:
    now = context.clock()
    longest = LONGEST_MRI if kind is Kind.MRI_WINDOW else LONGEST_ABSENCE
    if given.until_at <= given.from_at:
        raise wrong_field("body", "until_at", "must be later than `from_at`")
    if given.until_at - given.from_at > longest:
        raise wrong_field("body", "until_at", f"must be at most {longest / timedelta(hours=1):g} h after `from_at`")
    if given.until_at <= now:
        raise wrong_field("body", "until_at", "is over already")
    if given.from_at > now + AHEAD_AT_MOST:
        raise wrong_field("body", "from_at", f"must be within {AHEAD_AT_MOST.days} days")
    recorded = Recorded(kind=kind, from_at=given.from_at, until_at=given.until_at, note=given.note)
    return await _record(connection, pump_id, recorded, actor, now)


def _not_far(now: datetime, *, at: datetime) -> None:
    if at > now + _CLOCKS_DIFFER:
        raise wrong_field("body", "at", "lies ahead: record it when it is done")
    if at < now - RECORDED_WITHIN:
        raise wrong_field("body", "at", f"must be within the last {RECORDED_WITHIN.days} days")


def _changes(given: dict[str, Any], stored: asyncpg.Record, time_zones: frozenset[str]) -> dict[str, Any]:
    """The fields of the new entry, checked as an entry is."""
    errors = [
        FieldError(place="body", field=f"changes.{name}", detail="is said by the exchange itself")
        for name in exchanges.IN_PLACE
        if name in given
    ]
    if errors:
        raise wrong_fields(errors)
    if not stored["registered"]:
        return {}
    after = _entry(stored, given, time_zones, "changes.")
    return {name: getattr(after, name) for name in given}


def _entry(stored: asyncpg.Record, given: dict[str, Any], time_zones: frozenset[str], place: str = "") -> RegistryEntry:
    """The stored entry of a listed pump with some fields changed."""
    found = entry_of({**msgspec.to_builtins(registry.as_entry(stored)), **given}, time_zones)
    if isinstance(found, list):
        raise wrong_fields([FieldError(place="body", field=f"{place}{name}", detail=what) for name, what in found])
    return found


async def _fill(
    context: Context, connection: asyncpg.Connection, actor: str, stored: asyncpg.Record, filled: dict[str, Any]
) -> None:
    """From now on the registry says that this is in the pump."""
    if not stored["registered"]:
        raise Problem(HTTPStatus.CONFLICT, "it is in nobody's registry: what is in it can be said once it is listed")
    entry = _entry(stored, filled, context.time_zones)
    if all(stored[name] == getattr(entry, name) for name in filled):
        return
    written = await registry.upsert(connection, [entry], context.settings.shard)
    before = {name: stored[name] for name in entry.__struct_fields__}
    detail = {"before": before, "after": entry, "version": written.changed.get(entry.pump_id)}
    await audit(connection, actor, "pump_written", entry.pump_id, detail)


async def _record(
    connection: asyncpg.Connection, pump_id: str, recorded: Recorded, actor: str, now: datetime, **also: Any
) -> Care:
    try:
        async with connection.transaction():
            number = await store.record(connection, pump_id, recorded, actor, now, **also)
    except store.CareRefusedError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    if number is None:
        raise not_found(f"pump {pump_id}")
    return await _shown(connection, pump_id, number)


async def _shown(connection: asyncpg.Connection, pump_id: str, number: int) -> Care:
    row = await store.one(connection, pump_id, number)
    if row is None:
        raise not_found(f"record {number} of pump {pump_id}")
    return Care.of(row)
