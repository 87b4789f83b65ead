"""What does a notification say? The webhook's body (docs/interface.md): thin, no personal data, what to do now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from service.core.alert import Alert, Reason
from service.core.change import Condition, Priority
from service.core.lifecycle import NotificationKind
from service.core.sentences import clock_time, short, span, what_is_over, what_is_wrong
from service.core.subject import Subject

NOTHING_TO_DO: Final = "Nothing more: this closes the alert."


def body_of(
    kind: NotificationKind,
    alert: Alert,
    subject: Subject,
    do_now: str,
    now: datetime,
    *,
    last_heard_at: datetime | None = None,
    told: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the JSON object that tells of `alert` as it is at `now`; `told` names every endpoint that is told this."""
    program_ml_d: float | None = alert.evidence.get("program_ml_d")
    return {
        "type": f"alert.{kind}",
        "timestamp": _instant(now),
        "data": {
            "alert_id": str(alert.id),
            "subject": subject.name,
            "pump_id": subject.pump_id,
            "site": subject.site,
            "condition": alert.condition,
            "priority": alert.priority,
            "state": alert.state,
            "began_at": _instant(alert.began_at),
            "detected_at": _instant(alert.detected_at),
            "found_late": alert.found_late,
            "simulated": alert.simulated,
            **({"drill": True} if alert.condition is Condition.DRILL else {}),
            "what": _what(kind, alert, now),
            "do_now": NOTHING_TO_DO if kind is NotificationKind.RESOLVED else do_now,
            "program_ml_d": program_ml_d,
            "program_ug_d": _dose_ug_d(program_ml_d, subject.concentration_ug_ml),
            "program": _program(program_ml_d, subject.concentration_ug_ml),
            "last_heard": _last_heard(last_heard_at, now),
            "told": list(told),
            "path": f"/api/v1/alerts/{alert.id}",
        },
    }


def with_links(own: Mapping[str, Any], board_url: str, acknowledge_url: str) -> dict[str, Any]:
    """The body with what only the sender knows; an empty link is left out."""
    links = {"board_url": board_url, "acknowledge_url": acknowledge_url}
    return {**own, "data": {**own["data"], **{name: url for name, url in links.items() if url}}}


def endpoint_disabled(endpoint: UUID, name: str, now: datetime) -> dict[str, Any]:
    """What the other endpoints are told when one of them has answered 410."""
    return {
        "type": "endpoint.disabled",
        "timestamp": _instant(now),
        "data": {
            "endpoint_id": str(endpoint),
            "endpoint": name,
            "priority": str(Priority.HIGH),
            "simulated": False,
            "what": f"The endpoint {name} answered 410 (gone): nothing is sent to it any more.",
            "do_now": "See that whoever relied on it is told in another way; give it a working address, or remove it.",
            "path": f"/api/v1/endpoints/{endpoint}",
        },
    }


def endpoint_test(endpoint: UUID, name: str, now: datetime) -> dict[str, Any]:
    """A notification that somebody asked for, to see whether it arrives."""
    return {
        "type": "endpoint.test",
        "timestamp": _instant(now),
        "data": {
            "test": True,
            "endpoint_id": str(endpoint),
            "endpoint": name,
            "priority": str(Priority.LOW),
            "simulated": True,
            "what": f"This is a test of the endpoint {name}. No pump and no patient is concerned.",
            "do_now": "Nothing, if it arrived where it should.",
            "path": f"/api/v1/endpoints/{endpoint}",
        },
    }


def _what(kind: NotificationKind, alert: Alert, now: datetime) -> str:
    """A drill says so before anything else, whatever is told of it."""
    said = _said(kind, alert, now)
    return f"DRILL, for practice only. {said}" if alert.condition is Condition.DRILL else said


def _said(kind: NotificationKind, alert: Alert, now: datetime) -> str:
    if kind is NotificationKind.RESOLVED:
        return what_is_over(alert, now)
    wrong = what_is_wrong(alert, now)
    if alert.chattering:
        wrong = f"{wrong} It has come and gone more than three times within 24 h."
    if kind is NotificationKind.ACKNOWLEDGED:
        return f"A person has acknowledged this alert. {wrong}"
    if kind is NotificationKind.REMINDER:
        return (
            f"{alert.acknowledged_by} has acknowledged this alert, and it goes on. "
            f"Acknowledge it again if it is being dealt with; else others are asked. {wrong}"
        )
    wrong = _ASKED_AGAIN.get(kind, "") + wrong
    if kind is NotificationKind.PRIORITY_ROSE:
        wrong = f"The priority rose to {alert.priority}. {wrong}"
    if alert.reason is not Reason.IN_ORDER:
        wrong = f"{wrong} The readings that show it reached us late, at {clock_time(now, now)}."
    return wrong


_ASKED_AGAIN: Final[Mapping[NotificationKind, str]] = {
    NotificationKind.ESCALATED: "Nobody has answered this alert so far: now it is for you. ",
    NotificationKind.REPEATED: "Nobody is dealing with this alert. ",
}


def _dose_ug_d(program_ml_d: float | None, concentration_ug_ml: float | None) -> float | None:
    if program_ml_d is None or concentration_ug_ml is None:
        return None
    return round(program_ml_d * concentration_ug_ml, 3)


def _program(program_ml_d: float | None, concentration_ug_ml: float | None) -> str | None:
    """The program as people speak of it: the volume, and the dose that it means."""
    if program_ml_d is None:
        return None
    dose_ug_d = _dose_ug_d(program_ml_d, concentration_ug_ml)
    if dose_ug_d is None:
        return f"{short(program_ml_d)} mL/d"
    dose = f"{short(dose_ug_d / 1000)} mg/d" if dose_ug_d >= 1000 else f"{short(dose_ug_d)} µg/d"
    return f"{short(program_ml_d)} mL/d, which is {dose}"


def _last_heard(at: datetime | None, now: datetime) -> str | None:
    if at is None:
        return None
    return f"at {clock_time(at, now)}, {span(now - at)} before this was written"


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
