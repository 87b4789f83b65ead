"""How does a person answer an alert on the board? A dialog with a note, then the API's own operation, by their name."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from nicegui import ui

from service.api import alerts
from service.api.context import at_least
from service.api.problems import Problem
from service.postgres.accounts import Account, Role
from service.web import desk
from service.web.frame import tried

SHELF_MINUTES: Final = (10, 30, 120, 1440)


async def _clinician() -> Account:
    """The visitor by their rights now. Raises Problem (401, 403)."""
    account = await desk.still_here()
    if account is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, "your session is over: log in again")
    return at_least(Role.CLINICIAN, account)


async def acknowledge(alert_id: UUID) -> None:
    await _ask(
        "Acknowledge this alert?",
        "Repeats and escalation stop. The alert stays until what is wrong is over.",
        "Acknowledge",
        lambda note: _done(alerts.acknowledge_alert, alert_id, note),
        "Acknowledged",
    )


async def reset(alert_id: UUID) -> None:
    await _ask(
        "Reset this alert?",
        "Its condition is over, and somebody has looked after it.",
        "Reset",
        lambda note: _done(alerts.reset_alert, alert_id, note),
        "Reset",
    )


async def _done(operation: Callable[..., Awaitable[object]], alert_id: UUID, note: str) -> None:
    account = await _clinician()
    async with desk.database() as connection:
        await operation(
            context=desk.context(),
            connection=connection,
            account=account,
            alert_id=alert_id,
            note=alerts.Note(note=note),
        )


async def shelve(alert_id: UUID) -> None:
    with ui.context.client, ui.dialog() as dialog, ui.card():  # not in the row: that is made anew meanwhile
        ui.label("Shelve this alert?").classes("text-h6")
        ui.label("Nobody is told of it until then. High priority: 30 minutes at most; some alerts never.")
        reason = ui.input("Reason").props("autofocus outlined maxlength=2000").classes("w-full")
        minutes = ui.select(
            {each: f"{each} minutes" if each < 120 else f"{each // 60} hours" for each in SHELF_MINUTES},
            value=SHELF_MINUTES[0],
            label="For",
        ).props("outlined")

        async def do() -> None:
            if not reason.value.strip():
                reason.props('error error-message="A reason is needed"')
                return
            if await tried(_shelve(alert_id, reason.value, minutes.value), "Shelved"):
                dialog.close()

        _buttons(dialog, "Shelve", do)
    dialog.open()


async def _shelve(alert_id: UUID, reason: str, minutes: int) -> None:
    account = await _clinician()
    until = desk.now() + timedelta(minutes=minutes)
    async with desk.database() as connection:
        await alerts.shelve_alert(
            context=desk.context(),
            connection=connection,
            account=account,
            alert_id=alert_id,
            given=alerts.Shelf(reason=reason, until=until),
        )


async def _ask(title: str, text: str, button: str, operation: Callable[[str], Awaitable[None]], done: str) -> None:
    with ui.context.client, ui.dialog() as dialog, ui.card():  # not in the row: that is made anew meanwhile
        ui.label(title).classes("text-h6")
        ui.label(text)
        note = ui.textarea("Note (optional)").props("autofocus outlined maxlength=2000").classes("w-full")

        async def do() -> None:
            await tried(operation(note.value), done)
            dialog.close()

        _buttons(dialog, button, do)
    dialog.open()


def _buttons(dialog: ui.dialog, label: str, do: Callable[[], Awaitable[None]]) -> None:
    with ui.row().classes("justify-end w-full"):
        ui.button("Cancel", color=None, on_click=dialog.close).classes("quiet").props("no-caps flat")
        ui.button(label, color=None, on_click=do).classes("action").props("no-caps unelevated")
