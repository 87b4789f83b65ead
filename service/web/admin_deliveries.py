"""What was one endpoint to be told, and what came of each attempt? One delivery, watched until it is settled."""

from collections.abc import Sequence
from typing import Final

import msgspec
from nicegui import ui

from service.api import deliveries
from service.api.deliveries import Attempted, DeliveryDetail
from service.api.problems import Problem
from service.web import admin_frame, desk, frame
from service.web.admin_forms import button, facts, heading, live, row, table
from service.web.told import tried
from service.web.words import ago

AGAIN_S: Final = 1.0


def add() -> None:
    frame.at("/admin/deliveries/{delivery_id}")(_page)


async def _page(delivery_id: str) -> None:
    async def read() -> DeliveryDetail:
        return await admin_frame.asked(lambda c, a: deliveries.get_delivery(connection=c, _=a, delivery_id=delivery_id))

    async def redrive() -> None:
        await admin_frame.asked(lambda c, a: deliveries.redrive(connection=c, account=a, delivery_id=delivery_id))

    with admin_frame.page("Delivery", "/admin/endpoints"):
        try:
            delivery = await read()
        except Problem as problem:
            heading("No such delivery")
            frame.refused(problem)
            return
        heading(f"{delivery.kind.replace('_', ' ').capitalize()}, for {delivery.endpoint}")
        with ui.element("div").classes("acts"):
            ui.link("The endpoint", f"/admin/endpoints/{delivery.endpoint_id}")
            if delivery.alert_id is not None:
                ui.link("The alert", f"/alerts/{delivery.alert_id}")
            if delivery.state == "failed":
                button("Send it again", lambda: tried(redrive(), "It is sent again"), quiet=True)
        await live(read, _show, AGAIN_S)()


def _show(delivery: DeliveryDetail) -> None:
    now = desk.now()
    facts(
        {
            "State": delivery.state,
            "Priority": delivery.priority,
            "Made": ago(delivery.created_at, now),
            "Settled": "not yet" if delivery.settled_at is None else ago(delivery.settled_at, now),
            "Its webhook-id": delivery.id,
        }
    )
    heading("Attempts", 2)
    if delivery.tries:
        _attempts(delivery.tries)
    else:
        ui.label("None yet.").classes("faint")
    heading("What it says", 2)
    ui.label(msgspec.json.format(msgspec.json.encode(delivery.body)).decode()).classes("mono")


def _attempts(tries: Sequence[Attempted]) -> None:
    with table(("Number", "When (UTC)", "Outcome", "Status", "Took", "Answer")):
        for each in tries:
            row(
                str(each.number),
                f"{each.at:%Y-%m-%d %H:%M:%S}",
                str(each.outcome).replace("_", " "),
                "none" if each.status is None else str(each.status),
                f"{each.duration_ms:.0f} ms",
                each.answer[:200] or each.detail,
            )
