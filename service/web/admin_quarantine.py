"""What was kept aside, and why? By reason, with the payload of each."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Final

from fastapi import Query, Response
from nicegui import ui

from service.api import quarantine
from service.api.problems import Problem
from service.api.quarantine import Quarantined, QuarantinedBytes
from service.core.rejection import Reason
from service.web import admin_frame, desk
from service.web.admin_forms import facts, heading, live, row, table
from service.web.words import ago

AGAIN_S: Final = 5.0
LATEST: Final = 200
SHOWN_BYTES: Final = 8_192
SINCE: Final = {1: "a day", 7: "a week", 31: "a month"}


def add() -> None:
    ui.page("/admin/quarantine")(_list)
    ui.page("/admin/quarantine/{number}")(_one)


async def _list(
    reason: Annotated[str, Query(max_length=40)] = "", days: Annotated[int, Query(ge=1)] = 7
) -> Response | None:
    if answer := admin_frame.refused():
        return answer
    chosen = reason if reason in set(Reason) else ""

    def go() -> None:
        ui.navigate.to(f"/admin/quarantine?reason={of.value}&days={since.value}")

    async def read() -> Sequence[Quarantined]:
        page = await admin_frame.asked(
            lambda c, a: quarantine.list_quarantine(
                connection=c,
                account=a,
                reason=chosen or None,
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
            of = ui.select(reasons, value=chosen, label="Reason", on_change=go).props("outlined dense")
            spans = SINCE | {days: SINCE.get(days, f"{days} days")}
            since = ui.select(spans, value=days, label="In the last", on_change=go).props("outlined dense")
        await live(read, _table, AGAIN_S)()
    return None


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def _table(found: Sequence[Quarantined]) -> None:
    if not found:
        ui.label("Nothing was kept aside.").classes("empty")
        return
    counts = {each: sum(one.reason == each for one in found) for each in sorted({one.reason for one in found})}
    ui.label(", ".join(f"{_words(reason)}: {count:,}" for reason, count in counts.items())).classes("text-weight-bold")
    with table(("Number", "When (UTC)", "Reason", "Topic", "Bytes", "What is wrong")):
        for each in found:
            row(
                partial(ui.link, str(each.id), f"/admin/quarantine/{each.id}"),
                f"{each.received_at:%Y-%m-%d %H:%M:%S}",
                _words(each.reason),
                each.topic,
                f"{each.length:,}",
                each.detail,
            )
    if len(found) == LATEST:
        ui.label(f"The newest {LATEST} are shown.").classes("faint")


async def _one(number: int) -> Response | None:
    if answer := admin_frame.refused():
        return answer
    with admin_frame.page(f"Message {number}", "/admin/quarantine"):
        heading(f"Message {number}")
        try:
            found = await admin_frame.asked(lambda c, _: quarantine.get_quarantined(connection=c, number=number))
        except Problem as problem:
            ui.label(problem.detail)
            return None
        _show(found)
    return None


def _show(found: QuarantinedBytes) -> None:
    payload = base64.b64decode(found.head_base64)
    facts(
        {
            "Reason": _words(found.reason),
            "What is wrong": found.detail or "not said",
            "Topic": found.topic,
            "Received": f"{found.received_at:%Y-%m-%d %H:%M:%S} UTC, {ago(found.received_at, desk.now())}",
            "Bytes": f"{found.length:,}",
        }
    )
    heading("Payload", 2)
    ui.label(_text(payload[:SHOWN_BYTES]) or "empty").classes("mono")
    if found.length > SHOWN_BYTES:
        ui.label(f"The first {min(len(payload), SHOWN_BYTES):,} of {found.length:,} bytes.").classes("faint")
    ui.label(f"SHA-256 of all of it: {found.sha256}").classes("faint mono")


def _text(payload: bytes) -> str:
    """As text where it is text; else byte by byte."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload.hex(" ")
