"""What does the clinic say of its pumps? A CSV is read, its differences are looked at, imported, and taken back."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import asyncpg
from fastapi import Response
from nicegui import events, ui

from service.api import imports
from service.api.bodies import MAX_BODY_BYTES
from service.api.imports import Import, NewImport
from service.api.problems import wrong_field
from service.core.registry import COLUMNS, RegistryEntry, parse_registry
from service.core.registry_differences import Difference, differences
from service.core.rulebook import Problem as Mistake
from service.postgres import registry
from service.postgres.accounts import Account
from service.web import admin_frame, desk, frame
from service.web.admin_forms import button, confirm, heading, live, row, table
from service.web.told import tried
from service.web.words import ago

AGAIN_S: Final = 5.0
LATEST: Final = 50
MOST_SHOWN: Final = 200
MOST_BYTES: Final = MAX_BODY_BYTES * 9 // 10  # what is around it has to go through as well
_READ: Final = f"""async (event) => {{
    const file = event.target.files[0];
    if (!file) return;
    emit({{name: file.name, text: file.size > {MOST_BYTES} ? null : await file.text()}});
    event.target.value = '';
}}"""


def add() -> None:
    frame.at("/admin/registry")(_page)


async def _page() -> None:
    with admin_frame.page("Registry", "/admin/registry"):
        heading("Registry")
        with ui.element("p").classes("faint"):
            ui.label(f"A CSV file with the columns {', '.join(COLUMNS)}. Pumps that it does not name stay as they are.")
        with ui.element("div").classes("acts"), ui.element("label").classes("file"):
            ui.label("Read a CSV file")
            chosen = ui.element("input").props('type=file accept=".csv,text/csv" aria-label="Read a CSV file"')
        seen = ui.element("section").props('aria-label="What it would change" aria-live="polite"')
        heading("Imports", 2)
        again = live(_imports, lambda made: _table(made, again), AGAIN_S)

        async def read(event: events.GenericEventArguments) -> None:
            await tried(_look(seen, event.args, again))

        chosen.on("change", read, js_handler=_READ)
        await again()


async def _look(seen: ui.element, given: dict[str, Any], again: Callable[[], Awaitable[None]]) -> None:
    """Show what the file would change, and ask whether it may."""
    text, name = given["text"], str(given["name"])[:200]
    if text is None:
        raise wrong_field("body", name, f"is larger than {MOST_BYTES:,} bytes: use `pumpwatch pumps import`")
    entries, mistakes = parse_registry(text, desk.context().time_zones)
    found = [] if mistakes else differences(await admin_frame.asked(_registered), entries)
    seen.clear()
    with seen:
        heading(name, 2)
        if mistakes:
            _mistakes(mistakes)
            return
        new = sum(each.is_new for each in found)
        told = f"{new:,} new, {len(found) - new:,} changed, {len(entries) - len(found):,} as they are"
        ui.label(told).classes("text-weight-bold")
        if not found:
            return
        _differences(found)

        async def do() -> str:
            made = await admin_frame.asked(
                lambda c, a: imports.import_registry(
                    context=desk.context(),
                    connection=c,
                    account=a,
                    response=Response(),
                    given=NewImport(name=name, csv=text),
                )
            )
            seen.clear()
            await again()
            return f"Imported: {made.created:,} new, {made.changed:,} changed"

        with ui.element("div").classes("acts"):
            button("Import", lambda: confirm("Import this file?", told, "Import", do))
            button("Leave it", seen.clear, quiet=True)


async def _registered(connection: asyncpg.Connection, _: Account) -> Sequence[RegistryEntry]:
    return await registry.registered(connection)


def _mistakes(mistakes: Sequence[Mistake]) -> None:
    with ui.element("div").classes("said bad"):
        ui.label("Nothing can be imported of it before this is right:").classes("text-weight-bold")
    with table(("Line", "What is wrong")):
        for each in mistakes[:MOST_SHOWN]:
            row(f"{each.line}", each.message)
    if len(mistakes) > MOST_SHOWN:
        ui.label(f"and {len(mistakes) - MOST_SHOWN:,} more").classes("faint")


def _differences(found: Sequence[Difference]) -> None:
    with table(("Pump", "What", "Before", "After")):
        for each in found[:MOST_SHOWN]:
            if each.is_new:
                row(each.pump_id, "new", "", "")
            for number, field in enumerate(each.fields):
                row("" if number else each.pump_id, field.name, field.before or "not known", field.after or "not known")
    if len(found) > MOST_SHOWN:
        ui.label(f"and {len(found) - MOST_SHOWN:,} pumps more").classes("faint")


async def _imports() -> Sequence[Import]:
    page = await admin_frame.asked(lambda c, a: imports.list_imports(connection=c, _=a, limit=LATEST, page=None))
    return page.items


def _table(made: Sequence[Import], again: Callable[[], Awaitable[None]]) -> None:
    if not made:
        ui.label("Nothing was imported yet.").classes("faint")
        return
    with table(("When (UTC)", "File", "By", "New", "Changed", "As it was", "")):
        for each in made:
            row(
                f"{each.made_at:%Y-%m-%d %H:%M}",
                each.name or "not named",
                each.made_by,
                f"{each.created:,}",
                f"{each.changed:,}",
                f"{each.unchanged:,}",
                _undone(each) if each.undone_at or each.id is None else partial(_undo_button, each, again),
            )


def _undone(one: Import) -> str:
    return f"undone by {one.undone_by}, {ago(one.undone_at, desk.now())}" if one.undone_at else ""


def _undo_button(one: Import, again: Callable[[], Awaitable[None]]) -> None:
    button("Undo", partial(_undo, one, again), name=f"Undo the import of {one.name or one.made_at}", quiet=True)


def _undo(one: Import, again: Callable[[], Awaitable[None]]) -> None:
    async def do() -> str:
        await admin_frame.asked(
            lambda c, a: imports.undo_import(context=desk.context(), connection=c, account=a, number=one.id or 0)
        )
        await again()
        return "Undone"

    confirm(
        f"Undo the import of {one.name or 'this file'}?",
        f"{one.created:,} pumps are unlisted again, {one.changed:,} say what they said before. Refused if "
        "anything of it was changed since.",
        "Undo",
        do,
    )
