"""Who is on call, now and next? Contacts with their endpoints, and the rotas in which they take turns."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import asyncpg
from fastapi import Response
from nicegui import ui

from service.api import escalation
from service.api.escalation import Kept, Kind
from service.api.problems import wrong_field
from service.core.rota import Rota, next_hand_over, on_call
from service.postgres import rosters
from service.postgres.accounts import Account
from service.web import admin_frame, desk, frame
from service.web.admin_forms import Form, Values, button, confirm, heading, live, row, table

AGAIN_S: Final = 10.0
_LISTED: Final = "One a line, in the order of their turns"


class Seen(NamedTuple):
    contacts: Sequence[Kept]
    rotas: Sequence[Kept]
    turns: Mapping[str, "Turn"]


class Turn(NamedTuple):
    """Of a rota: who has it, until when, and who has it then."""

    now: str
    until: datetime
    then: str


def add() -> None:
    frame.at("/admin/on-call")(_page)


async def _page() -> None:
    with admin_frame.page("On call", "/admin/on-call"):
        with ui.element("div").classes("top"):
            heading("On call")
            ui.link("Policies and rules", "/admin/policies")
        again = live(_read, lambda seen: _show(seen, again), AGAIN_S)
        with ui.element("div").classes("acts"):
            button("Add a contact", lambda: _contact(None, again), quiet=True)
            button("Add a rota", lambda: _rota(None, again), quiet=True)
        await again()


async def _read() -> Seen:
    async def read(connection: asyncpg.Connection, _: Account) -> Seen:
        contacts = await escalation.list_kept(connection=connection, kind=Kind.CONTACTS)
        rotas = await escalation.list_kept(connection=connection, kind=Kind.ROTAS)
        roster = await rosters.load(connection)
        turns = {name: _turn(rota, roster.zones) for name, rota in roster.rotas.items()}
        return Seen(contacts.items, rotas.items, turns)

    return await admin_frame.asked(read)


def _turn(rota: Rota, zones: Any) -> Turn:
    now = desk.now()
    until = next_hand_over(rota, zones, now)
    return Turn(on_call(rota, zones, now), until, on_call(rota, zones, until))


def _show(seen: Seen, again: Callable[[], Awaitable[None]]) -> None:
    heading("Rotas", 2)
    if not seen.rotas:
        ui.label("There is none: policies name contacts or endpoints.").classes("faint")
    else:
        with table(("Rota", "On call now", "Until", "Then", "Turns", "")):
            for each in seen.rotas:
                turn, zone = seen.turns[each.name], ZoneInfo(each.document["time_zone"])
                row(
                    each.name,
                    turn.now,
                    f"{turn.until.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})",
                    turn.then,
                    f"{', '.join(each.document['contacts'])}; every {each.document.get('every_days', 7)} days",
                    partial(_buttons, each, Kind.ROTAS, again),
                )
    heading("Contacts", 2)
    if not seen.contacts:
        ui.label("There is none: add who is told, and by which endpoints.").classes("faint")
        return
    with table(("Contact", "Is a", "Reached by", "")):
        for each in seen.contacts:
            row(
                each.name,
                each.document.get("is_a", "person"),
                ", ".join(each.document["endpoints"]),
                partial(_buttons, each, Kind.CONTACTS, again),
            )


def _buttons(kept: Kept, kind: Kind, again: Callable[[], Awaitable[None]]) -> None:
    change = _contact if kind is Kind.CONTACTS else _rota
    with ui.element("div").classes("buttons"):
        button("Change", partial(change, kept, again), name=f"Change {kept.name}", quiet=True)
        if kind is Kind.ROTAS:
            button("Stand in", partial(_stand_in, kept, again), name=f"Stand in for {kept.name}", quiet=True)
        button("Delete", partial(delete, kept, kind, again), name=f"Delete {kept.name}", quiet=True)


async def put(kind: Kind, name: str, document: dict[str, Any], version: int) -> None:
    """In the place of that version and of no other; 0: there is none yet."""
    await admin_frame.asked(
        lambda c, a: escalation.put_kept(
            context=desk.context(),
            connection=c,
            account=a,
            response=Response(),
            kind=kind,
            name=named(name),
            given=document,
            if_match=f'"{version}"',
        )
    )


def named(name: str | None) -> str:
    if not name:
        raise wrong_field("body", "name", "is needed")
    return name


def delete(kept: Kept, kind: Kind, again: Callable[[], Awaitable[None]]) -> None:
    async def do() -> str:
        await admin_frame.asked(
            lambda c, a: escalation.delete_kept(
                context=desk.context(),
                connection=c,
                account=a,
                kind=kind,
                name=kept.name,
                if_match=f'"{kept.version}"',
            )
        )
        await again()
        return f"{kept.name} is deleted"

    confirm(f"Delete {kept.name}?", "Refused while something else names it.", "Delete", do)


async def _contact(kept: Kept | None, again: Callable[[], Awaitable[None]]) -> None:
    async def names(connection: asyncpg.Connection, _: Account) -> set[str]:
        return (await rosters.names(connection))[0]

    endpoints = sorted(await admin_frame.asked(names))
    stored = kept.document if kept else {}
    form = Form(f"Change {kept.name}" if kept else "Add a contact", "A person, or a role that some person always has.")
    with form:
        if kept is None:
            form.text("name", "Name", most=64)
        form.choice("is_a", "Is a", {"person": "person", "role": "role"}, stored.get("is_a", "person"))
        known = [each for each in stored.get("endpoints", ()) if each in endpoints]
        form.choices("endpoints", "Reached by", {each: each for each in endpoints}, known)

    async def do(values: Values) -> str:
        name = kept.name if kept else values["name"]
        if not values["endpoints"]:
            raise wrong_field("body", "endpoints", "choose at least one")
        document = {"is_a": values["is_a"], "endpoints": values["endpoints"]}
        await put(Kind.CONTACTS, name, document, kept.version if kept else 0)
        await again()
        return f"{name} is kept"

    form.ends_with("Keep", do)


async def _rota(kept: Kept | None, again: Callable[[], Awaitable[None]]) -> None:
    stored = kept.document if kept else {}
    form = Form(f"Change {kept.name}" if kept else "Add a rota", "Contacts who take turns.")
    with form:
        if kept is None:
            form.text("name", "Name", most=64)
        form.long("contacts", "Contacts", "\n".join(stored.get("contacts", ())), hint=_LISTED)
        form.text("time_zone", "Time zone", stored.get("time_zone", "UTC"), hint="As Europe/Zurich is one", most=64)
        with ui.element("div").classes("pair"):
            form.text("begins_on", "Begins on", stored.get("begins_on", f"{desk.now():%Y-%m-%d}"), kind="date")
            form.text("hand_over_at", "Hand-over at", stored.get("hand_over_at", "08:00:00")[:5], kind="time")
            form.number("every_days", "Every, days", stored.get("every_days", 7))

    async def do(values: Values) -> str:
        name = kept.name if kept else values["name"]
        if not lines(values["contacts"]):
            raise wrong_field("body", "contacts", "name at least one")
        document = {
            "contacts": lines(values["contacts"]),
            "time_zone": values["time_zone"] or "",
            "begins_on": values["begins_on"] or "",
            "hand_over_at": f"{values['hand_over_at'] or '08:00'}:00",
            "every_days": int(values["every_days"] or 0),
            "stand_ins": stored.get("stand_ins", []),
        }
        await put(Kind.ROTAS, name, document, kept.version if kept else 0)
        await again()
        return f"{name} is kept"

    form.ends_with("Keep", do)


def lines(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


async def _stand_in(kept: Kept, again: Callable[[], Awaitable[None]]) -> None:
    zone = ZoneInfo(kept.document["time_zone"])
    contacts = [each.name for each in (await _read()).contacts]
    form = Form(f"Stand in for {kept.name}", "Somebody else, for a while. The newest word counts.")
    with form:
        form.choice("contact", "Who", {each: each for each in contacts}, contacts[0] if contacts else None)
        form.text(
            "from_at", f"From ({zone.key})", f"{desk.now().astimezone(zone):%Y-%m-%dT%H:%M}", kind="datetime-local"
        )
        form.text("until", f"Until ({zone.key})", kind="datetime-local")

    async def do(values: Values) -> str:
        times = {name: _instant(values, name, zone) for name in ("from_at", "until")}
        over = [each for each in kept.document.get("stand_ins", ()) if _until(each) > desk.now()]
        stand_ins = [*over, {"contact": values["contact"] or "", **times}]
        await put(Kind.ROTAS, kept.name, {**kept.document, "stand_ins": stand_ins}, kept.version)
        await again()
        return f"{values['contact']} stands in"

    form.ends_with("Keep", do)


def _instant(values: Values, name: str, zone: ZoneInfo) -> str:
    if not values[name]:
        raise wrong_field("body", name, "say when")
    return datetime.fromisoformat(values[name]).replace(tzinfo=zone).astimezone(UTC).isoformat()


def _until(stand_in: Mapping[str, str]) -> datetime:
    return datetime.fromisoformat(stand_in["until"])
