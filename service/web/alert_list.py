"""What does a list of open alerts say of each? One element on the page, and the words of its rows."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from nicegui.events import GenericEventArguments

from service.core.answers import NEVER_SHELVED
from service.core.change import Condition
from service.core.sentences import what_evidence_says
from service.postgres.accounts import Role
from service.web import answering, desk
from service.web.keyed import Keyed, Row
from service.web.words import SHAPES, condition, milliseconds

_TOLD: Final = {"delivered": "told", "pending": "telling", "failed": "could not tell", "collapsed": "told"}


class AlertList(Keyed, component="alert_list.js"):
    """Rows are those of `row_of`; whoever may answers them here. `whole`: the list of the page of alerts."""

    def __init__(self, rows: Iterable[Row], *, whole: bool) -> None:
        super().__init__(rows, may_answer=desk.visitor().role.rank >= Role.CLINICIAN.rank, whole=whole)
        self.on("answer", _answer)


_ANSWERS: Final = {
    "acknowledge": answering.acknowledge,
    "reset": answering.reset,
    "shelve": answering.shelve,
    "unshelve": answering.unshelve,
}


async def _answer(asked: GenericEventArguments) -> None:
    operation = _ANSWERS.get(asked.args["what"])
    if operation is not None:
        await operation(UUID(asked.args["id"]))


def row_of(alert: Mapping[str, Any], now: datetime) -> Row:
    """`alert`: a row of service/postgres/open_alerts.py."""
    name = alert["pump_id"] or alert["subject"].partition(":")[2]
    evidence = msgspec.json.decode(alert["evidence"])
    return {
        "id": str(alert["id"]),
        "part": alert["part"],
        "priority": alert["priority"],
        "shape": SHAPES[alert["priority"]],
        "title": f"{condition(alert['condition'])}, {name}",
        "what": what_evidence_says(Condition(alert["condition"]), evidence, now),
        "facts": _facts(alert),
        "answered": None
        if alert["acknowledged_at"] is None
        else {"by": alert["acknowledged_by"], "at": milliseconds(alert["acknowledged_at"]), "note": alert["note"]},
        "latched": alert["state"] == "latched",
        "shelved": alert["shelved_until"] is not None,
        "may_be_shelved": Condition(alert["condition"]) not in NEVER_SHELVED,
    }


def _facts(alert: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each `text`, with `at` where it says how long ago."""
    found: list[dict[str, Any]] = [{"text": "raised", "at": milliseconds(alert["raised_at"])}]
    if alert["site"]:
        found.append({"text": f"site {alert['site']}"})
    if alert["state"] == "latched":
        found.append({"text": "over; waits for somebody to reset it"})
    if alert["shelved_until"]:
        until = f"{alert['shelved_until']:%H:%M} UTC"
        found.append({"text": f"shelved until {until} by {alert['shelved_by']}: {alert['shelf_reason']}"})
    if alert["inhibited_by"]:
        found.append({"text": "told with another alert"})
    else:
        found += [{"text": text} for text in who_was_told(msgspec.json.decode(alert["endpoints"]))]
    if alert["chattering"]:
        found.append({"text": "comes and goes"})
    if alert["simulated"]:
        found.append({"text": "simulated pump"})
    return found


def who_was_told(endpoints: Mapping[str, str]) -> list[str]:
    """In words, by what came of it: told first, then those on the way, then those that could not be."""
    if not endpoints:
        return ["nobody was told"]
    by_state: dict[str, list[str]] = {}
    for name, state in sorted(endpoints.items()):
        by_state.setdefault(_TOLD[state], []).append(name)
    order = dict.fromkeys(_TOLD.values())
    return [f"{state}: {', '.join(by_state[state])}" for state in order if state in by_state]
