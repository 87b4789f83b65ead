"""How is an endpoint added, changed, disabled, deleted, given a new secret? Dialogs over the API's own operations."""

from typing import Any, Final
from uuid import UUID

from fastapi import Response
from nicegui import ui

from service.api import deliveries, endpoints
from service.api.endpoint_models import Endpoint, EndpointSettings, NewEndpoint, Rotation
from service.core.change import Priority
from service.core.endpoint import Format
from service.web import admin_frame, desk
from service.web.admin_forms import Form, Values, confirm, shown_once

FORMATS: Final = {
    Format.PUMPWATCH: "Our own",
    Format.ALERTMANAGER: "Alertmanager",
    Format.SLACK: "Slack",
    Format.PAGERDUTY: "PagerDuty",
}
_KEPT: Final = "It signs what is sent there. Keep it where the endpoint can read it: it is never shown again."


async def read(endpoint_id: UUID) -> Endpoint:
    return await admin_frame.asked(
        lambda c, a: endpoints.get_endpoint(connection=c, _=a, response=Response(), endpoint_id=endpoint_id)
    )


def _fields(form: Form, stored: Endpoint | None = None) -> None:
    with form:
        form.text("name", "Name", stored.name if stored else "", most=100)
        form.text("url", "Address", stored.url if stored else "", hint="https, to a public address", most=2048)
        form.choice("format", "Form", FORMATS, stored.format if stored else Format.PUMPWATCH)
        kept = "A key is kept; fill in to replace it" if stored and stored.has_routing_key else "PagerDuty's"
        form.text("routing_key", "Routing key", hint=kept, most=64)
        priorities = {str(each): str(each) for each in Priority}
        form.choices(
            "priorities",
            "Told of",
            priorities,
            [str(each) for each in stored.priorities] if stored else list(priorities),
        )
        form.tick(
            "accepts_simulated",
            "Also of simulated pumps",
            value=stored.accepts_simulated if stored else False,
        )
        with ui.element("div").classes("pair"):
            form.number(
                "answer_within_s",
                "Answers within, s",
                stored.answer_within_s if stored else None,
                hint="Empty: 4 or 15",
            )
            form.number("most_requests", "At a time", stored.most_requests if stored else 4, hint="Of each priority")
        form.long(
            "template", "Template", (stored.template or "") if stored else "", hint="In place of a form", most=10_000
        )


def add() -> None:
    form = Form("Add an endpoint", "Its secret is shown when it is made.")
    _fields(form)

    async def do(values: Values) -> str:
        given = NewEndpoint(**{name: value for name, value in values.items() if value is not None})
        made = await admin_frame.asked(
            lambda c, a: endpoints.add_endpoint(
                context=desk.context(), connection=c, account=a, response=Response(), given=given
            )
        )
        shown_once(f"The secret of {made.name}", _KEPT, made.secret)
        return ""

    form.ends_with("Add", do)


async def change(endpoint_id: UUID) -> None:
    stored = await read(endpoint_id)
    form = Form(f"Change {stored.name}")
    _fields(form, stored)

    async def do(values: Values) -> str:
        before = stored.model_dump(mode="json")
        changed = {name: value for name, value in values.items() if value != before.get(name)}
        if changed.get("routing_key", "") is None:
            del changed["routing_key"]
        given = EndpointSettings(**changed)
        await admin_frame.asked(
            lambda c, a: endpoints.change_endpoint(
                context=desk.context(),
                connection=c,
                account=a,
                response=Response(),
                endpoint_id=endpoint_id,
                given=given,
                if_match=f'"{stored.version}"',
            )
        )
        return "Changed"

    form.ends_with("Change", do)


def disable(endpoint_id: UUID) -> None:
    form = Form("Disable this endpoint?", "Nothing is sent there until it is enabled; what is for it waits.")

    async def do(_: Values) -> str:
        await _switch(endpoint_id, endpoints.disable_endpoint)
        return "Disabled"

    form.ends_with("Disable", do)


async def enable(endpoint_id: UUID) -> None:
    await _switch(endpoint_id, endpoints.enable_endpoint)


async def _switch(endpoint_id: UUID, operation: Any) -> None:
    await admin_frame.asked(
        lambda c, a: operation(connection=c, account=a, response=Response(), endpoint_id=endpoint_id)
    )


def rotate(endpoint_id: UUID) -> None:
    form = Form("Make a new secret?", "For a day the old one signs beside it, so that the endpoint can be changed.")

    async def do(_: Values) -> str:
        made = await admin_frame.asked(
            lambda c, a: endpoints.rotate_secret(
                context=desk.context(),
                connection=c,
                account=a,
                response=Response(),
                endpoint_id=endpoint_id,
                given=Rotation(),
            )
        )
        shown_once("The new secret", _KEPT, made.secret)
        return ""

    form.ends_with("Make it", do)


def redrive(endpoint_id: UUID) -> None:
    async def do() -> str:
        again = await admin_frame.asked(
            lambda c, a: deliveries.redrive_all(connection=c, account=a, endpoint=str(endpoint_id))
        )
        return f"{again.redriven} are sent again"

    confirm(
        "Send again what was given up?",
        "Each under its id and in the order of its alert; what is out of date stays as it is.",
        "Send again",
        do,
    )


def delete(endpoint_id: UUID) -> None:
    async def do() -> str:
        await admin_frame.asked(
            lambda c, a: endpoints.delete_endpoint(connection=c, account=a, endpoint_id=endpoint_id)
        )
        ui.navigate.to("/admin/endpoints")
        return "Deleted"

    confirm(
        "Delete this endpoint?",
        "Its address and its keys go; what it was told stays listed. Refused while anything waits for it.",
        "Delete",
        do,
    )
