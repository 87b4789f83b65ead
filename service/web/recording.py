"""What did people record of a pump, what of it stands now, and how do they record more? A part of the pump's page."""

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import asyncpg
from nicegui import ui

from service.api import care
from service.api.care import Care
from service.api.context import key_of
from service.api.pump_models import Pump
from service.postgres import care as store
from service.postgres.accounts import Role
from service.postgres.care import Kind
from service.web import desk, recording_forms
from service.web.admin_forms import button, live, row, table
from service.web.recording_forms import ENDS, IN_A_SENTENCE, NAMES
from service.web.words import ago

LATEST: Final = 20
AGAIN_S: Final = 5.0


def add(pump: Pump, top: ui.element) -> None:
    """The buttons of whoever may record, and what was recorded; at the `top` of the page, what of it stands now."""
    ui.add_css("@import url('/static/admin.css');")
    zone = ZoneInfo(pump.time_zone)

    async def read() -> "_Seen":
        async with desk.database() as connection:
            return await _seen(connection, pump.pump_id)

    place = ui.element("section").props('aria-label="Recorded by people"')
    with place:
        buttons: dict[bool, ui.element] = {}
        if desk.visitor().role.rank >= Role.CLINICIAN.rank:
            with ui.element("div").classes("acts"):
                for label, then in (
                    ("Record a refill", partial(recording_forms.refill, pump.pump_id, zone)),
                    ("MRI exam", partial(recording_forms.window, pump.pump_id, zone, Kind.MRI_WINDOW)),
                    ("Planned absence", partial(recording_forms.window, pump.pump_id, zone, Kind.ABSENCE)),
                    ("Exchange the pump", partial(recording_forms.exchange, pump.pump_id, zone)),
                ):
                    button(label, then, quiet=True)
                out, back = recording_forms.take_out, recording_forms.put_back
                buttons[True] = button("Take out of service", partial(out, pump.pump_id), quiet=True)
                buttons[False] = button("Put back into service", partial(back, pump.pump_id), quiet=True)
                for in_service, each in buttons.items():
                    each.visible = in_service is pump.in_service

        def show(seen: _Seen) -> None:
            for in_service, each in buttons.items():
                each.visible = in_service is seen.in_service and not (seen.replaced_by and not in_service)
            top.clear()
            with top:
                _standing(seen, zone)
            if seen.recorded:
                with ui.element("details"):
                    with ui.element("summary"):
                        ui.label(f"Recorded by people: {len(seen.recorded)}")
                    _table(pump.pump_id, seen.recorded, zone)

        ui.timer(0, live(read, show, AGAIN_S), once=True)


class _Seen(NamedTuple):
    in_service: bool
    replaces: str | None
    replaced_by: str | None
    recorded: Sequence[Care]
    """The latest, and what stands of those before."""
    standing: Sequence[Care]


async def _seen(connection: asyncpg.Connection, pump_id: str) -> _Seen:
    pump = await recording_forms.seen_by(connection, desk.visitor(), pump_id)
    page = await care.list_care(connection=connection, pump_id=pump_id, limit=LATEST, page=None)
    rows = await store.standing(connection, await key_of(connection, pump_id), desk.now())
    standing = [Care.of(row) for row in rows]
    latest = {each.id for each in page.items}
    recorded = [*page.items, *(each for each in standing if each.id not in latest)]
    return _Seen(pump.in_service, pump.replaces, pump.replaced_by, recorded, standing)


def _standing(seen: _Seen, zone: ZoneInfo) -> None:
    for each in seen.standing:
        _notice(f"{NAMES[each.kind]}, {_when(each, zone)}: recorded by {each.recorded_by}", each.note)
    if seen.replaced_by:
        with ui.element("p").classes("said wait"):
            ui.label("Another pump took its place:")
            ui.link(seen.replaced_by, f"/pumps/{seen.replaced_by}")
    if seen.replaces:
        with ui.element("p").classes("said"):
            ui.label("It took the place of")
            ui.link(seen.replaces, f"/pumps/{seen.replaces}")


def _notice(text: str, note: str) -> None:
    with ui.element("p").classes("said wait"):
        ui.label(text).classes("text-weight-bold")
        if note:
            ui.label(note)


def _table(pump_id: str, recorded: Sequence[Care], zone: ZoneInfo) -> None:
    may = desk.visitor().role.rank >= Role.CLINICIAN.rank
    with table((f"When ({zone.key})", "What", "Note", "By", "")):
        for each in recorded:
            over = each.until_at is not None and each.until_at <= desk.now()
            ends = may and each.ended_at is None and not over and each.kind in ENDS
            row(
                _when(each, zone),
                _what(each),
                each.note,
                f"{each.recorded_by}, {ago(each.recorded_at, desk.now())}",
                partial(_end_button, pump_id, each) if ends else _ended(each),
            )


def _what(one: Care) -> str:
    parts = [NAMES[one.kind]]
    if one.reservoir_after_ml is not None:
        parts.append(f"filled to {one.reservoir_after_ml:g} mL")
    if one.aspirated_ml is not None:
        parts.append(f"{one.aspirated_ml:g} mL drawn off")
    if one.successor:
        parts.append(f"by {one.successor}")
    return ", ".join(parts)


def _when(one: Care, zone: ZoneInfo) -> str:
    begins = one.from_at.astimezone(zone)
    if one.kind is Kind.OUT_OF_SERVICE and one.ended_at is None:
        return f"since {begins:%Y-%m-%d %H:%M}"
    if one.until_at is None:
        return f"{begins:%Y-%m-%d %H:%M}"
    ends = one.until_at.astimezone(zone)
    return f"{begins:%Y-%m-%d %H:%M} to {ends:{'%H:%M' if ends.date() == begins.date() else '%Y-%m-%d %H:%M'}}"


def _ended(one: Care) -> str:
    if one.ended_at is None:
        return ""
    return f"{'taken back' if one.kind is Kind.REFILL else 'ended'} by {one.ended_by}, {ago(one.ended_at, desk.now())}"


def _end_button(pump_id: str, one: Care) -> None:
    name = f"{ENDS[one.kind]} the {IN_A_SENTENCE[one.kind]}"
    button(ENDS[one.kind], partial(recording_forms.end, pump_id, one), name=name, quiet=True)
