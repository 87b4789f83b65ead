"""How does a person answer an alert on the board? A dialog with a note, then the API's own operation, by their name."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

from nicegui import ui

from service.api import alerts
from service.api.alert_models import AlertDetail
from service.api.context import at_least
from service.api.problems import not_found
from service.core.answers import AT_MOST
from service.core.sentences import what_evidence_says
from service.postgres.accounts import Account, Role
from service.web import desk
from service.web.told import is_for_now, notify, told, tried
from service.web.words import SHAPES, condition

SHELF_MINUTES: Final = {10: "10 minutes", 30: "30 minutes", 120: "2 hours", 1440: "24 hours", 10_080: "7 days"}
_LONGEST_MINUTES: Final = {priority: longest // timedelta(minutes=1) for priority, longest in AT_MOST.items()}
_NOTED: Final[Mapping[str, tuple[Callable[..., Awaitable[object]], str]]] = {
    "Acknowledge": (alerts.acknowledge_alert, "Acknowledged"),
    "Reset": (alerts.reset_alert, "Reset"),
    "Unshelve": (alerts.unshelve_alert, "Unshelved"),
}


async def _clinician() -> Account:
    """The visitor by their rights now. Raises Problem (401, 403)."""
    return at_least(Role.CLINICIAN, await desk.present())


async def acknowledge(alert_id: UUID) -> None:
    await _ask(alert_id, "Acknowledge", "Repeats and escalation stop. The alert stays until what is wrong is over.")


async def reset(alert_id: UUID) -> None:
    await _ask(alert_id, "Reset", "Its condition is over, and somebody has looked after it.")


async def unshelve(alert_id: UUID) -> None:
    await _ask(alert_id, "Unshelve", "It asks again, unless somebody has answered it.")


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
    alert = await _asked_about(alert_id)
    if alert is None:
        return
    with _dialog(alert, "Shelve") as dialog:
        ui.label("Nobody is told of it until then. High priority: 30 minutes at most; some alerts never.")
        reason = ui.input("Reason").props("autofocus outlined maxlength=2000").classes("w-full")
        minutes = ui.select(
            {minutes: words for minutes, words in SHELF_MINUTES.items() if minutes <= _LONGEST_MINUTES[alert.priority]},
            value=10,
            label="For",
        ).props("outlined")

        async def do() -> None:
            if not reason.value.strip():
                reason.props('error error-message="A reason is needed"')
                return
            if await tried(_shelve(alert_id, reason.value, minutes.value), "Shelved") is None:
                dialog.close()

        _buttons(dialog, "Shelve", do)


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


async def _ask(alert_id: UUID, verb: str, text: str) -> None:
    operation, done = _NOTED[verb]
    alert = await _asked_about(alert_id)
    if alert is None:
        return
    with _dialog(alert, verb) as dialog:
        ui.label(text)
        note = ui.textarea("Note (optional)").props("autofocus outlined maxlength=2000").classes("w-full")

        async def do() -> None:
            if not is_for_now(await tried(_done(operation, alert_id, note.value), done)):
                dialog.close()

        _buttons(dialog, verb, do)


async def _asked_about(alert_id: UUID) -> AlertDetail | None:
    with told(notify):
        return await the_alert(alert_id)
    return None


@contextmanager
def _dialog(alert: AlertDetail, verb: str) -> Iterator[ui.dialog]:
    """A dialog that says which alert it is about and what is wrong; it opens when it is filled."""
    with ui.context.client, ui.dialog() as dialog, ui.card().classes("dialog"):
        dialog.props(f'aria-label="{verb} {condition(alert.condition)}"')
        ui.label(f"{verb} this alert?").classes("text-h6")
        name = alert.pump_id or alert.subject.partition(":")[2]
        with ui.element("div").classes(f"about {alert.priority}"):
            ui.label(f"{SHAPES[alert.priority]} {condition(alert.condition)}, {name}").classes("text-weight-bold")
            ui.label(what_evidence_says(alert.condition, alert.evidence, desk.now()))
            ui.label(f"What to do now: {alert.do_now}")
        yield dialog
    dialog.on("hide", dialog.delete)
    dialog.open()


async def the_alert(alert_id: UUID) -> AlertDetail:
    """Raises Problem (404), also for an alert that the visitor may not see."""
    async with desk.database() as connection:
        alert = await alerts.get_alert(desk.context(), connection, alert_id)
    if not desk.visitor().sees(alert.site):
        raise not_found(f"alert {alert_id}")
    return alert


def _buttons(dialog: ui.dialog, label: str, do: Callable[[], Awaitable[None]]) -> None:
    with ui.row().classes("justify-end w-full"):
        ui.button("Cancel", color=None, on_click=dialog.close).classes("quiet").props("no-caps flat")
        ui.button(label, color=None, on_click=do).classes("action").props("no-caps unelevated")
