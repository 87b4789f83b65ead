"""With what does a clinician record something of a pump? One dialog each, over the API's own operations.

Times are filled in as a clock on the wall shows them: in the time zone that the registry has for the pump.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import asyncpg
from fastapi import Response
from nicegui import ui

from service.api import care, out_of_service, pumps
from service.api.care import Care
from service.api.context import at_least
from service.api.problems import not_found, wrong_field
from service.api.pump_models import Pump
from service.core.reading import DrugClass
from service.postgres.accounts import Account, Role
from service.postgres.care import Kind
from service.web import desk
from service.web.admin_forms import Form, Values, confirm

T = TypeVar("T")

NAMES: Final = {
    Kind.REFILL: "Refill",
    Kind.MRI_WINDOW: "MRI exam",
    Kind.ABSENCE: "Planned absence",
    Kind.EXCHANGE: "Exchange",
    Kind.OUT_OF_SERVICE: "Out of service",
}
IN_A_SENTENCE: Final = {kind: name if kind is Kind.MRI_WINDOW else name.lower() for kind, name in NAMES.items()}
ENDS: Final = {Kind.REFILL: "Take back", Kind.MRI_WINDOW: "End", Kind.ABSENCE: "End"}
_REGISTERED: Final = frozenset({"drug", "drug_class", "concentration_ug_ml"})
_OF_THE_NEW: Final = ("model", "flow_channel", "reservoir_channel", "capacity_ml", "interval_s")
_CHANNELS: Final = {"rotor": "rotor", "sensor": "sensor"}
_LEVELS: Final = {"computed": "computed", "sensor": "sensor"}


async def seen_by(connection: asyncpg.Connection, account: Account, pump_id: str) -> Pump:
    """Raises Problem (404), also for a pump that they may not see."""
    pump = await pumps.get_pump(desk.context(), connection, Response(), pump_id)
    if not account.sees(pump.site):
        raise not_found(f"pump {pump_id}")
    return pump


async def _asked(pump_id: str, what: Callable[[asyncpg.Connection, Account], Awaitable[T]]) -> T:
    """Do `what` of a pump in the visitor's name, by their rights now. Raises Problem (401, 403, 404)."""
    account = at_least(Role.CLINICIAN, await desk.present())
    async with desk.database() as connection:
        await seen_by(connection, account, pump_id)
        return await what(connection, account)


def end(pump_id: str, one: Care) -> None:
    async def do() -> str:
        await _asked(
            pump_id,
            lambda c, a: care.end_care(context=desk.context(), connection=c, account=a, pump_id=pump_id, number=one.id),
        )
        return "Done"

    text = "It stays listed as taken back." if one.kind is Kind.REFILL else "From now on it counts no more."
    confirm(f"{ENDS[one.kind]} the {IN_A_SENTENCE[one.kind]}?", text, ENDS[one.kind], do)


def _moment(values: Values, name: str, zone: ZoneInfo) -> datetime:
    """Of a clock on the wall; of two that an autumn has, the first. Raises Problem (422)."""
    try:
        return datetime.fromisoformat(values[name] or "").replace(tzinfo=zone)
    except ValueError:
        raise wrong_field("body", name, "say when") from None


def _given(values: Values) -> Values:
    return {name: value for name, value in values.items() if value is not None}


async def refill(pump_id: str, zone: ZoneInfo) -> None:
    pump = await _asked(pump_id, lambda c, a: seen_by(c, a, pump_id))
    form = Form(f"Record a refill of {pump_id}", "What was done, as you know it. The pump's own word stands beside it.")
    with form:
        form.text("at", f"When ({zone.key})", f"{desk.now().astimezone(zone):%Y-%m-%dT%H:%M}", kind="datetime-local")
        with ui.element("div").classes("pair"):
            form.number("reservoir_after_ml", "Filled to, mL", hint=f"Capacity {pump.capacity_ml:g} mL")
            form.number("aspirated_ml", "Drawn off before, mL", hint=_left(pump))
        if pump.registered:
            form.text("drug", "Drug", pump.drug, most=100)
            with ui.element("div").classes("pair"):
                form.choice(
                    "drug_class", "Drug class", {str(each): str(each) for each in DrugClass}, str(pump.drug_class)
                )
                form.number("concentration_ug_ml", "Concentration, µg/mL", pump.concentration_ug_ml)
        form.text("next_refill_on", "Next refill", kind="date")
        form.long("note", "Note", hint="No personal data")

    async def do(values: Values) -> str:
        known = pump.model_dump(mode="json")
        said = _given(values) | {"at": _moment(values, "at", zone)}
        said = {name: value for name, value in said.items() if name not in _REGISTERED or value != known[name]}
        given = care.Refill.model_validate(said)
        await _asked(
            pump_id,
            lambda c, a: care.record_refill(
                context=desk.context(), connection=c, account=a, pump_id=pump_id, given=given
            ),
        )
        return "The refill is recorded"

    form.ends_with("Record", do)


def _left(pump: Pump) -> str:
    return "" if pump.latest is None else f"The pump said {pump.latest.reservoir_ml:.2f} mL last"


async def window(pump_id: str, zone: ZoneInfo, kind: Kind) -> None:
    exam = kind is Kind.MRI_WINDOW
    begins = desk.now().astimezone(zone)
    ends = begins + (timedelta(hours=1) if exam else timedelta(days=7))
    if exam:
        form = Form(
            f"MRI exam of {pump_id}",
            "A stall in it is told one step lower: a magnet stops a rotor. Eight hours at most.",
        )
    else:
        form = Form(f"Planned absence of {pump_id}", "Nobody is told of its silence until it is over. 90 days at most.")
    with form:
        form.text("from_at", f"From ({zone.key})", f"{begins:%Y-%m-%dT%H:%M}", kind="datetime-local")
        form.text("until_at", f"Until ({zone.key})", f"{ends:%Y-%m-%dT%H:%M}", kind="datetime-local")
        form.long("note", "Note", hint="No personal data")

    async def do(values: Values) -> str:
        times = {name: _moment(values, name, zone) for name in ("from_at", "until_at")}
        given = care.Window.model_validate(_given(values) | times)
        record = care.record_mri_window if exam else care.record_absence
        await _asked(
            pump_id,
            lambda c, a: record(context=desk.context(), connection=c, account=a, pump_id=pump_id, given=given),
        )
        return f"The {'exam' if exam else 'absence'} is recorded"

    form.ends_with("Record", do)


async def exchange(pump_id: str, zone: ZoneInfo) -> None:
    pump = await _asked(pump_id, lambda c, a: seen_by(c, a, pump_id))
    form = Form(
        f"Exchange {pump_id}",
        "It goes out of service, and the new one is listed as it was, but for what you change here.",
    )
    with form:
        form.text("pump_id", "Id of the new pump", hint="As in its topic", most=64)
        form.text("at", f"When ({zone.key})", f"{desk.now().astimezone(zone):%Y-%m-%dT%H:%M}", kind="datetime-local")
        form.text("model", "Model", pump.model, most=100)
        with ui.element("div").classes("pair"):
            form.choice("flow_channel", "Flow by", _CHANNELS, pump.flow_channel)
            form.choice("reservoir_channel", "Level by", _LEVELS, pump.reservoir_channel)
            form.number("capacity_ml", "Capacity, mL", pump.capacity_ml)
            form.number("interval_s", "Readings every, s", pump.interval_s)
        form.long("note", "Note", hint="No personal data")

    async def do(values: Values) -> str:
        known = pump.model_dump(mode="json")
        changes = {name: values[name] for name in _OF_THE_NEW if values[name] not in (None, known[name])}
        given = care.Exchange.model_validate(
            {
                "pump_id": values["pump_id"] or "",
                "at": _moment(values, "at", zone),
                "changes": changes,
                "note": values["note"] or "",
            }
        )
        await _asked(
            pump_id,
            lambda c, a: care.record_exchange(
                context=desk.context(), connection=c, account=a, pump_id=pump_id, given=given
            ),
        )
        return f"{given.pump_id} took its place"

    form.ends_with("Exchange", do)


def take_out(pump_id: str) -> None:
    form = Form(
        f"Take {pump_id} out of service?",
        "Nothing is raised of it any more, and what is open ends within a minute. What it says is still kept.",
    )
    with form:
        form.long("note", "Why", hint="No personal data")

    async def do(values: Values) -> str:
        given = out_of_service.Reason(note=values["note"] or "")
        await _asked(
            pump_id,
            lambda c, a: out_of_service.take_out_of_service(
                context=desk.context(), connection=c, account=a, pump_id=pump_id, given=given
            ),
        )
        return "It is out of service"

    form.ends_with("Take it out", do)


def put_back(pump_id: str) -> None:
    async def do() -> str:
        await _asked(
            pump_id,
            lambda c, a: out_of_service.put_into_service(
                context=desk.context(), connection=c, account=a, pump_id=pump_id
            ),
        )
        return "It is in service"

    confirm(
        f"Put {pump_id} back into service?",
        "It is watched again, and what is wrong with it is told.",
        "Put it back",
        do,
    )
