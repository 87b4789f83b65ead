"""What do people, and the time that passes without them, make of an alert? One move each."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from service.core.alert import Alert, AlertEvent, AlreadyAcknowledgedError, advance
from service.core.change import Condition, Priority
from service.core.escalation import Deed, Due, answered, awaits_answer, done
from service.core.lifecycle import RULES, Move, NotificationKind, history_of

AT_MOST: Final[Mapping[Priority, timedelta]] = {
    Priority.HIGH: timedelta(minutes=30),
    Priority.MEDIUM: timedelta(hours=24),
    Priority.LOW: timedelta(days=7),
}
"""For how long an alert can be shelved."""

NEVER_SHELVED: Final = frozenset(
    {Condition.STALL, Condition.RESERVOIR_EMPTY, Condition.OVER_DELIVERY_GROSS, Condition.SILENCE}
)
"""Nobody may stop hearing of these."""


class ShelfRefusedError(Exception):
    """It cannot be shelved so; `field` says what is to blame."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field, self.why = field, why


def acknowledge(alert: Alert, actor: str, note: str, now: datetime) -> Move:
    """A person has seen it, or answers a reminder.

    Raises IllegalTransitionError once resolved, AlreadyAcknowledgedError the second time.
    """
    after = advance(alert, AlertEvent.ACKNOWLEDGED, now)
    if alert.acknowledged_at is not None and not awaits_answer(alert):
        raise AlreadyAcknowledgedError(alert.acknowledged_by or "", alert.acknowledged_at)
    progress = None if alert.escalation is None else answered(alert.escalation)
    after = replace(after, acknowledged_at=now, acknowledged_by=actor, escalation=progress)
    return Move(after, history_of(after, AlertEvent.ACKNOWLEDGED, actor, note, now), NotificationKind.ACKNOWLEDGED)


def reset(alert: Alert, actor: str, note: str, now: datetime) -> Move:
    """A person says that what has ended is dealt with. Raises IllegalTransitionError unless latched."""
    after = advance(alert, AlertEvent.RESET, now)
    return Move(after, history_of(after, AlertEvent.RESET, actor, note, now), NotificationKind.RESOLVED)


def shelve(alert: Alert, actor: str, reason: str, until: datetime, now: datetime) -> Move:
    """A person wants to hear no more of it until a time. Raises ShelfRefusedError and IllegalTransitionError."""
    after = advance(alert, AlertEvent.SHELVED, now)
    if alert.condition in NEVER_SHELVED:
        raise ShelfRefusedError("condition", f"{alert.condition} is never shelved: acknowledge it, and see to the pump")
    if not reason.strip():
        raise ShelfRefusedError("reason", "say why nobody needs to hear of it")
    if until <= now:
        raise ShelfRefusedError("until", "must be later than now")
    most = AT_MOST[alert.priority]
    if until - now > most:
        minutes = most // timedelta(minutes=1)
        raise ShelfRefusedError("until", f"an alert of {alert.priority} priority is shelved for {minutes} min at most")
    after = replace(after, shelved_until=until, shelved_by=actor, shelf_reason=reason)
    note = f"until {until.isoformat(timespec='seconds')}: {reason}"
    return Move(after, history_of(after, AlertEvent.SHELVED, actor, note, now), None)


def unshelve(alert: Alert, actor: str, note: str, now: datetime) -> Move:
    """It is told of again, unless somebody has acknowledged it. Raises ShelfRefusedError."""
    if alert.shelved_until is None:
        raise ShelfRefusedError("id", "it is not shelved")
    after = advance(alert, AlertEvent.UNSHELVED, now)
    asks = alert.acknowledged_at is None and alert.inhibited_by is None
    history = history_of(after, AlertEvent.UNSHELVED, actor, note, now)
    return Move(after, history, NotificationKind.ACTIVATED if asks else None)


def take_out(alert: Alert, now: datetime) -> Move:
    """Its pump is out of service: nobody is to be told of it any more."""
    after = advance(alert, AlertEvent.TAKEN_OUT, now)
    history = history_of(after, AlertEvent.TAKEN_OUT, RULES, "the pump is out of service", now)
    return Move(after, history, NotificationKind.RESOLVED)


def do(alert: Alert, due: Due, now: datetime, why: str = "") -> Move:
    """What is due because nobody has answered in time. The alert has asked: it has a policy. `why`, where told."""
    if alert.escalation is None:
        raise ValueError(f"alert {alert.id} has no policy")
    event, kind = _DEEDS[due.deed]
    note = f"{alert.acknowledged_by} did not answer the reminder" if due.deed is Deed.TAKE_BACK else why
    after = advance(alert, event, now)
    progress = msgspec.structs.replace(done(alert.escalation, due, now, alert.priority), told_number=after.version)
    after = replace(after, escalation=progress)
    return Move(after, history_of(after, event, RULES, note, now), kind, targets=due.targets)


_DEEDS: Final[Mapping[Deed, tuple[AlertEvent, NotificationKind]]] = {
    Deed.ESCALATE: (AlertEvent.ESCALATED, NotificationKind.ESCALATED),
    Deed.FALL_BACK: (AlertEvent.ESCALATED, NotificationKind.ESCALATED),
    Deed.REPEAT: (AlertEvent.REPEATED, NotificationKind.REPEATED),
    Deed.REMIND: (AlertEvent.REMINDED, NotificationKind.REMINDER),
    Deed.TAKE_BACK: (AlertEvent.TAKEN_BACK, NotificationKind.REPEATED),
}
