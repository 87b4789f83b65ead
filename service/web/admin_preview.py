"""Who would be told of an alert of such a site, class and priority, at a given time, if nobody answered?"""

from collections.abc import Sequence
from datetime import UTC, datetime

from nicegui import ui

from service.api import escalation
from service.api.escalation import Previewed
from service.core.change import Priority
from service.core.policy import EVERYBODY
from service.core.reading import DrugClass
from service.web import admin_frame, desk
from service.web.admin_forms import button, heading, row, table
from service.web.told import tried


def add_to(sites: Sequence[str]) -> None:
    heading("Who would be told?", 2)
    with ui.element("div").classes("filters"):
        site = ui.select({"": "none", **{each: each for each in sites}}, value=sites[0] if sites else "", label="Site")
        drug_class = ui.select({str(each): str(each) for each in DrugClass}, value="baclofen", label="Drug class")
        priority = ui.select({str(each): str(each) for each in Priority}, value="high", label="Priority")
        at = ui.input("At (UTC)", value=f"{desk.now():%Y-%m-%dT%H:%M}").props("type=datetime-local stack-label")
        for field in (site, drug_class, priority, at):
            field.props("outlined dense")
        button("Show", lambda: tried(show()), quiet=True)
    simulated = ui.checkbox("As of a simulated pump")
    place = ui.element("section").props('aria-label="Who would be told" aria-live="polite"')

    async def show() -> None:
        asked = datetime.fromisoformat(at.value).replace(tzinfo=UTC) if at.value else None
        found = await admin_frame.asked(
            lambda c, _: escalation.preview_escalation(
                context=desk.context(),
                connection=c,
                site=site.value or None,
                drug_class=DrugClass(drug_class.value),
                priority=Priority(priority.value),
                simulated=simulated.value,
                at=asked,
            )
        )
        place.clear()
        with place:
            _show(found)


def _show(found: Previewed) -> None:
    ui.label(f"Policy {found.policy}: {found.because}.").classes("text-weight-bold")
    if found.quiet_until is not None:
        ui.label(f"Quiet hours: nobody is told before {found.quiet_until:%Y-%m-%d %H:%M} UTC.")
    with table(("What", "When (UTC)", "Who", "Endpoints")):
        for call in found.calls:
            reached = ", ".join(call.endpoints) or "none that may be told: it is passed over"
            row(call.what, f"{call.at:%Y-%m-%d %H:%M:%S}", ", ".join(map(said, call.targets)), reached)


def said(target: str) -> str:
    """Who is told, in words."""
    kind, _, name = target.partition(":")
    return "every endpoint" if target == EVERYBODY else f"{kind} {name}"
