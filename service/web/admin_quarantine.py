"""What was kept aside, and why? By reason, with each payload; read again after a fix, or dropped with a reason."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Final

from fastapi import Query
from nicegui import ui

from service.api import quarantine
from service.api.quarantine import SHOWN_BYTES, Quarantined, QuarantinedBytes
from service.core.rejection import Reason
from service.postgres.aside import State
from service.web import admin_frame, desk, frame
from service.web.admin_forms import Form, Values, button, confirm, facts, heading, live, row, table
from service.web.words import ago

AGAIN_S: Final = 5.0
LATEST: Final = 200
_STATES: Final = {
    str(State.KEPT): "kept, nothing was done",
    str(State.REPLAYING): "about to be read again",
    str(State.REPLAYED): "read again",
    str(State.DROPPED): "dropped",
    "any": "anything",
}
SINCE: Final = {1: "a day", 7: "a week", 31: "a month"}


def add() -> None:
    frame.at("/admin/quarantine")(_list)
    frame.at("/admin/quarantine/{number}")(_one)


async def _list(
    reason: Annotated[str, Query(max_length=40)] = "",
    state: Annotated[str, Query(max_length=10)] = State.KEPT,
    days: Annotated[int, Query(ge=1, le=366)] = 7,
) -> None:
    chosen = reason if reason in set(Reason) else ""
    states = [State(state)] if state in set(State) else None

    def go() -> None:
        ui.navigate.to(f"/admin/quarantine?reason={of.value}&state={how.value}&days={since.value}")

    async def read() -> Sequence[Quarantined]:
        page = await admin_frame.asked(
            lambda c, a: quarantine.list_quarantine(
                connection=c,
                account=a,
                reason=chosen or None,
                state=states,
                since=desk.now() - timedelta(days=days),
                limit=LATEST,
                page=None,
            )
        )
        return page.items

    with admin_frame.page("Quarantine", "/admin/quarantine"):
        heading("Quarantine")
        ui.label("Messages that could not be taken. What they were about is missing until it is sent again.").classes(
            "faint"
        )
        with ui.element("div").classes("filters"):
            reasons = {"": "any", **{str(each): _words(each) for each in Reason}}
            of = ui.select(reasons, value=chosen, label="Reason", on_change=go)
            how = ui.select(_STATES, value=str(states[0]) if states else "any", label="What became of it", on_change=go)
            since = ui.select(
                SINCE | {days: SINCE.get(days, f"{days} days")}, value=days, label="In the last", on_change=go
            )
            for field in (of, how, since):
                field.props("outlined dense")
            if chosen:
                button("Read all of these again", lambda: _replay_all(chosen, again), quiet=True)
        again = live(read, _table, AGAIN_S)
        await again()


def _replay_all(reason: str, again: Callable[[], Awaitable[None]]) -> None:
    async def do() -> str:
        asked = await admin_frame.asked(
            lambda c, a: quarantine.replay_all(
                context=desk.context(), connection=c, account=a, given=quarantine.ReplayAll(reason=reason)
            )
        )
        await again()
        return f"{asked.messages:,} are read again"

    confirm(
        f"Read again what was kept aside as {_words(reason)}?",
        "After whatever was wrong is put right, the oldest thousand. What is still bad is kept aside again.",
        "Read again",
        do,
    )


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def _table(found: Sequence[Quarantined]) -> None:
    if not found:
        ui.label("Nothing was kept aside.").classes("empty")
        return
    counts = {each: sum(one.reason == each for one in found) for each in sorted({one.reason for one in found})}
    ui.label(", ".join(f"{_words(reason)}: {count:,}" for reason, count in counts.items())).classes("text-weight-bold")
    with table(("Number", "When (UTC)", "Reason", "Topic", "Bytes", "What is wrong", "What became of it")):
        for each in found:
            row(
                partial(ui.link, str(each.id), f"/admin/quarantine/{each.id}"),
                f"{each.received_at:%Y-%m-%d %H:%M:%S}",
                _words(each.reason),
                each.topic,
                f"{each.length:,}",
                each.detail,
                _STATES[each.state],
            )
    if len(found) == LATEST:
        ui.label(f"The newest {LATEST} are shown.").classes("faint")


async def _one(number: int) -> None:
    async def read() -> QuarantinedBytes:
        return await admin_frame.asked(lambda c, _: quarantine.get_quarantined(connection=c, number=number))

    with admin_frame.page(f"Message {number}", "/admin/quarantine"):
        heading(f"Message {number}")
        with ui.element("div").classes("acts") as acts:
            button("Read it again", lambda: _replay(number, again))
            button("Drop it", lambda: _drop(number, again), quiet=True)
        acts.visible = False

        def show(found: QuarantinedBytes) -> None:
            acts.visible = found.state is State.KEPT
            _show(found)

        again = live(read, show, AGAIN_S / 5)
        await again()


async def _replay(number: int, again: Callable[[], Awaitable[None]]) -> None:
    await admin_frame.asked(
        lambda c, a: quarantine.replay(context=desk.context(), connection=c, account=a, number=number)
    )
    await again()
    ui.notify("It is read again within seconds", type="positive")


def _drop(number: int, again: Callable[[], Awaitable[None]]) -> None:
    form = Form("Drop this message?", "It stays to be looked at: the ledger knows by it what did not come.")
    with form:
        form.long("reason", "Why it is not needed")

    async def do(values: Values) -> str:
        given = quarantine.WhyDropped(reason=values["reason"] or "")
        await admin_frame.asked(
            lambda c, a: quarantine.drop(context=desk.context(), connection=c, account=a, number=number, given=given)
        )
        await again()
        return "Dropped"

    form.ends_with("Drop", do)


def _became(found: QuarantinedBytes) -> str:
    now = desk.now()
    match found.state:
        case State.DROPPED:
            return f"dropped by {found.dropped_by}, {ago(found.dropped_at, now)}: {found.drop_reason}"
        case State.REPLAYED:
            return f"read again, asked for by {found.replay_asked_by}, {ago(found.replayed_at, now)}"
        case State.REPLAYING:
            return f"about to be read again, asked for by {found.replay_asked_by}"
    return _STATES[found.state]


def _show(found: QuarantinedBytes) -> None:
    facts(
        {
            "What became of it": _became(found),
            "Reason": _words(found.reason),
            "What is wrong": found.detail or "not said",
            "Topic": found.topic,
            "Received": f"{found.received_at:%Y-%m-%d %H:%M:%S} UTC, {ago(found.received_at, desk.now())}",
            "Bytes": f"{found.length:,}",
        }
    )
    if found.again_id is not None:
        with ui.element("div").classes("said bad"):
            ui.label("It is still bad:").classes("text-weight-bold")
            ui.link(f"kept aside again as {found.again_id}", f"/admin/quarantine/{found.again_id}")
    heading("Payload", 2)
    ui.label(found.text or "empty").classes("mono")
    if found.length > SHOWN_BYTES:
        ui.label(f"The first {min(found.head_bytes, SHOWN_BYTES):,} of {found.length:,} bytes.").classes("faint")
    with ui.element("details"):
        with ui.element("summary"):
            ui.label("Byte by byte")
        ui.label(found.hex).classes("mono")
    ui.label(f"SHA-256 of all of it: {found.sha256}").classes("faint mono")
