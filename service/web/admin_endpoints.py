"""Where are alerts sent, and does it work? The endpoints, how each is doing, what it was told, and a test."""

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from nicegui import ui

from service.api import deliveries, endpoints
from service.api.deliveries import Delivery
from service.api.endpoint_models import Endpoint
from service.api.problems import Problem
from service.core.change import Priority
from service.web import admin_endpoint_forms, admin_frame, desk, frame
from service.web.admin_endpoint_forms import FORMATS
from service.web.admin_forms import OUTCOMES, button, facts, heading, live, row, table
from service.web.told import tried
from service.web.words import ago

AGAIN_S: Final = 2.0
LATEST: Final = 20


def add() -> None:
    frame.at("/admin/endpoints")(_list)
    frame.at("/admin/endpoints/{endpoint_id}")(_one)


async def _list() -> None:
    with admin_frame.page("Endpoints", "/admin/endpoints"):
        with ui.element("div").classes("top"):
            heading("Endpoints")
            button("Add an endpoint", admin_endpoint_forms.add)

        await live(_all, _table, AGAIN_S)()


async def _all() -> Sequence[Endpoint]:
    return (await admin_frame.asked(lambda c, a: endpoints.list_endpoints(connection=c, _=a))).items


def _table(items: Sequence[Endpoint]) -> None:
    if not items:
        ui.label("There is none yet: nobody is told of alerts.").classes("empty")
        return
    with table(("Name", "How it is", "Not told yet", "Told of", "Form")):
        for each in items:
            row(
                partial(ui.link, each.name, f"/admin/endpoints/{each.id}"),
                partial(_state, each),
                f"{each.pending:,}",
                _told_of(each),
                "Template" if each.template else FORMATS[each.format],
            )


def _told_of(endpoint: Endpoint) -> str:
    every = set(endpoint.priorities) == set(Priority)
    priorities = "all priorities" if every else ", ".join(endpoint.priorities)
    return priorities + ("; simulated pumps too" if endpoint.accepts_simulated else "; no simulated pumps")


def _state(endpoint: Endpoint) -> None:
    text, how = _how(endpoint)
    ui.label(text).classes(how)


def _how(endpoint: Endpoint) -> tuple[str, str]:
    if not endpoint.enabled:
        return f"Disabled: {endpoint.disabled_reason or 'by hand'}", "off"
    if endpoint.circuit_opened_at is not None:
        return f"Fails, and is only probed, since {ago(endpoint.circuit_opened_at, desk.now())}", "bad"
    if endpoint.failures_in_a_row:
        return f"Failed {endpoint.failures_in_a_row} times in a row", "wait"
    return "Well", "good"


async def _one(endpoint_id: UUID) -> None:
    try:
        endpoint = await admin_endpoint_forms.read(endpoint_id)
    except Problem as problem:
        with admin_frame.page("Endpoint"):
            heading("No such endpoint")
            frame.refused(problem)
        return
    with admin_frame.page(endpoint.name, "/admin/endpoints"):
        title = heading(endpoint.name)
        fired: list[str] = []

        async def fire() -> None:
            made = await admin_frame.asked(
                lambda c, a: endpoints.fire_test(
                    context=desk.context(), connection=c, account=a, endpoint_id=endpoint_id
                )
            )
            fired[:] = [made.delivery_id]
            await again()

        with ui.element("div").classes("acts"):
            button("Test it", lambda: tried(fire(), "A test is on its way"))
            button("Change", lambda: admin_endpoint_forms.change(endpoint_id), quiet=True)
            disable = button("Disable", lambda: admin_endpoint_forms.disable(endpoint_id), quiet=True)
            enable = button("Enable", lambda: tried(admin_endpoint_forms.enable(endpoint_id), "Enabled"), quiet=True)
            button("New secret", lambda: admin_endpoint_forms.rotate(endpoint_id), quiet=True)
            button("Send again", lambda: admin_endpoint_forms.redrive(endpoint_id), quiet=True)
            button("Delete", lambda: admin_endpoint_forms.delete(endpoint_id), quiet=True)

        async def read() -> _Seen:
            test = await _delivery(fired[0]) if fired else None
            return _Seen(await admin_endpoint_forms.read(endpoint_id), await _latest(endpoint_id), test)

        def show(seen: _Seen) -> None:
            title.text = seen.endpoint.name
            disable.visible, enable.visible = seen.endpoint.enabled, not seen.endpoint.enabled
            _show(seen)

        again = live(read, show, AGAIN_S / 2)
        await again()


class _Seen(NamedTuple):
    endpoint: Endpoint
    latest: Sequence[Delivery]
    test: Delivery | None


def _show(seen: _Seen) -> None:
    if seen.test is not None:
        _outcome(seen.test)
    facts(_facts(seen.endpoint))
    _deliveries(seen.latest)


def _facts(endpoint: Endpoint) -> dict[str, str]:
    within_s = endpoint.answer_within_s
    known = {
        "How it is": _how(endpoint)[0],
        "Not told yet": f"{endpoint.pending:,}",
        "Address": endpoint.url,
        "Form": "Template" if endpoint.template else FORMATS[endpoint.format],
        "Told of": _told_of(endpoint),
        "Has to answer within": "4 s for high priority, else 15 s" if within_s is None else f"{within_s:g} s",
        "At a time": f"{endpoint.most_requests} of each priority",
    }
    if endpoint.former_secrets_until:
        known["Former secret signs until"] = f"{endpoint.former_secrets_until[-1]:%Y-%m-%d %H:%M} UTC"
    return known


def _outcome(test: Delivery) -> None:
    how = OUTCOMES.get(test.state, "wait")
    said = {
        "delivered": "The test was delivered",
        "failed": "The test was given up",
        "pending": "The test is on its way",
    }
    with ui.element("div").classes(f"said {how}"):
        ui.label(f"{said.get(test.state, test.state)}, {ago(test.created_at, desk.now())}").classes("text-weight-bold")
        ui.label(_last(test))
        ui.link("Every attempt", f"/admin/deliveries/{test.id}")


def _last(delivery: Delivery) -> str:
    if not delivery.attempts:
        return "Nobody has tried yet: is a worker of the role deliver alive? The pipeline's page says so."
    answered = "" if delivery.last_status is None else f", {delivery.last_status}"
    what = str(delivery.last_outcome or "").replace("_", " ")
    times = "once" if delivery.attempts == 1 else f"{delivery.attempts} times"
    return f"Tried {times}; last: {what}{answered}" + (f" ({delivery.last_detail})" if delivery.last_detail else "")


def _deliveries(items: Sequence[Delivery]) -> None:
    heading("What it was told last", 2)
    if not items:
        ui.label("Nothing yet.").classes("faint")
        return
    with table(("When (UTC)", "What", "Priority", "State", "Attempts")):
        for each in items:
            row(
                partial(ui.link, f"{each.created_at:%m-%d %H:%M:%S}", f"/admin/deliveries/{each.id}"),
                each.kind.replace("_", " "),
                each.priority,
                partial(_came_of, each),
                _last(each) if each.attempts else "none yet",
            )


def _came_of(delivery: Delivery) -> None:
    ui.label(delivery.state).classes(OUTCOMES.get(delivery.state, ""))


async def _latest(endpoint_id: UUID) -> Sequence[Delivery]:
    page = await admin_frame.asked(
        lambda c, a: deliveries.list_deliveries(connection=c, account=a, endpoint=str(endpoint_id), limit=LATEST)
    )
    return page.items


async def _delivery(delivery_id: str) -> Delivery:
    return await admin_frame.asked(lambda c, a: deliveries.get_delivery(connection=c, _=a, delivery_id=delivery_id))
