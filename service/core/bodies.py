"""What does a notification say? The webhook's body (docs/interface.md): thin, no personal data, what to do now."""

from datetime import datetime
from typing import Any, Final

from service.core.alert import Alert, Reason
from service.core.lifecycle import NotificationKind
from service.core.sentences import clock_time, what_is_over, what_is_wrong
from service.core.subject import Subject

NOTHING_TO_DO: Final = "Nothing more: this closes the alert."


def body_of(kind: NotificationKind, alert: Alert, subject: Subject, do_now: str, now: datetime) -> dict[str, Any]:
    """Return the JSON object that tells of `alert` as it is at `now`."""
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
            "what": _what(kind, alert, now),
            "do_now": NOTHING_TO_DO if kind is NotificationKind.RESOLVED else do_now,
            "program_ml_d": program_ml_d,
            "program_ug_d": _dose_ug_d(program_ml_d, subject.concentration_ug_ml),
            "path": f"/api/v1/alerts/{alert.id}",
        },
    }


def _what(kind: NotificationKind, alert: Alert, now: datetime) -> str:
    if kind is NotificationKind.RESOLVED:
        return what_is_over(alert, now)
    wrong = what_is_wrong(alert, now)
    if kind is NotificationKind.ACKNOWLEDGED:
        return f"A person has acknowledged this alert. {wrong}"
    if kind is NotificationKind.PRIORITY_ROSE:
        wrong = f"The priority rose to {alert.priority}. {wrong}"
    if alert.reason is not Reason.IN_ORDER:
        wrong = f"{wrong} The readings that show it reached us late, at {clock_time(now, now)}."
    return wrong


def _dose_ug_d(program_ml_d: float | None, concentration_ug_ml: float | None) -> float | None:
    if program_ml_d is None or concentration_ug_ml is None:
        return None
    return round(program_ml_d * concentration_ug_ml, 3)


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
