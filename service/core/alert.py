"""How can an alert change? Every way is in the two tables below; the second says exactly how latching differs.

That a condition is still within its on-delay is the rules' state, not an alert.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid5

from service.core.change import Condition, Kind, Priority
from service.core.progress import Progress

ALERTS: Final = UUID("6c6b1a5e-2f0d-5d0e-9a43-5e7f0c1b9d21")
"""The name space of alert ids."""


class AlertState(StrEnum):
    ACTIVE = "active"  # the condition holds; a person should act
    LATCHED = "latched"  # the condition has ended; a person has yet to reset it
    RESOLVED = "resolved"  # over, kept as history


class AlertEvent(StrEnum):
    CONDITION_BEGAN = "condition_began"
    PRIORITY_ROSE = "priority_rose"
    CONDITION_ENDED = "condition_ended"
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    FOUND_LATE = "found_late"  # over before anybody could be told
    WITHDRAWN = "withdrawn"  # readings that came late show that it was never so
    INHIBITED = "inhibited"  # another alert tells of it as well
    RELEASED = "released"  # the other is over, this one is not
    ONSET_CORRECTED = "onset_corrected"  # readings that came late show since when it is so
    ESCALATED = "escalated"  # nobody has answered in time, or nobody could be reached: the next step is told
    REPEATED = "repeated"  # nobody has answered after the last step: all are told again
    REMINDED = "reminded"  # whoever has acknowledged it is asked whether it is being dealt with
    TAKEN_BACK = "taken_back"  # the reminder was not answered: the acknowledgement no longer counts
    SHELVED = "shelved"  # a person wants to hear no more of it until a time
    UNSHELVED = "unshelved"  # that time is over, or a person has ended it
    TAKEN_OUT = "taken_out"  # its pump is out of service


class Reason(StrEnum):
    """How the readings came that made the alert what it is."""

    IN_ORDER = "in_order"
    DELAYED = "delayed"  # in order, long after they were measured
    LATE_DATA = "late_data"  # out of order: the pump's state was rebuilt


TransitionTable = Mapping[tuple[AlertState, AlertEvent], AlertState]

TRANSITIONS: Final[TransitionTable] = {
    (AlertState.ACTIVE, AlertEvent.PRIORITY_ROSE): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.ACKNOWLEDGED): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.CONDITION_ENDED): AlertState.RESOLVED,
    (AlertState.ACTIVE, AlertEvent.FOUND_LATE): AlertState.RESOLVED,
    (AlertState.ACTIVE, AlertEvent.WITHDRAWN): AlertState.RESOLVED,
    (AlertState.ACTIVE, AlertEvent.ONSET_CORRECTED): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.INHIBITED): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.RELEASED): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.ESCALATED): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.REPEATED): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.REMINDED): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.TAKEN_BACK): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.SHELVED): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.UNSHELVED): AlertState.ACTIVE,
    (AlertState.ACTIVE, AlertEvent.TAKEN_OUT): AlertState.RESOLVED,
}
LATCHING_TRANSITIONS: Final[TransitionTable] = {
    **TRANSITIONS,
    (AlertState.ACTIVE, AlertEvent.CONDITION_ENDED): AlertState.LATCHED,
    (AlertState.LATCHED, AlertEvent.CONDITION_BEGAN): AlertState.ACTIVE,
    (AlertState.LATCHED, AlertEvent.ACKNOWLEDGED): AlertState.LATCHED,
    (AlertState.LATCHED, AlertEvent.RESET): AlertState.RESOLVED,
    (AlertState.LATCHED, AlertEvent.WITHDRAWN): AlertState.RESOLVED,
    (AlertState.LATCHED, AlertEvent.ESCALATED): AlertState.LATCHED,
    (AlertState.LATCHED, AlertEvent.REPEATED): AlertState.LATCHED,
    (AlertState.LATCHED, AlertEvent.UNSHELVED): AlertState.LATCHED,
    (AlertState.LATCHED, AlertEvent.TAKEN_OUT): AlertState.RESOLVED,
}

# A condition that comes back, or gets worse, is news: the earlier acknowledgement does not cover it.
_ASKS_AGAIN: Final = frozenset({AlertEvent.CONDITION_BEGAN, AlertEvent.PRIORITY_ROSE, AlertEvent.TAKEN_BACK})
# Nothing is shelved that is over; and a shelf was granted for the priority that it had.
_OFF_THE_SHELF: Final = frozenset({AlertEvent.UNSHELVED, AlertEvent.PRIORITY_ROSE})


class IllegalTransitionError(Exception):
    """An event reached an alert whose state cannot accept it."""


class AlreadyAcknowledgedError(Exception):
    """Somebody was faster: `by` says who, `at` when."""

    def __init__(self, by: str, at: datetime) -> None:
        super().__init__(f"already acknowledged by {by}")
        self.by = by
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One condition of one subject, from its onset until resolved. The fields are the columns of the table `alert`."""

    id: UUID
    pump: int | None  # None: it is about a site or the service
    subject: str  # pump:ID, site:NAME or service:PART
    site: str | None  # of the subject, when it began
    condition: Condition
    kind: Kind
    priority: Priority
    state: AlertState
    state_since: datetime
    latching: bool
    began_at: datetime  # pump time: the onset
    detected_at: datetime  # pump time: the reading that crossed
    ended_at: datetime | None = None  # pump time: the condition was over
    raised_at: datetime  # our time
    resolved_at: datetime | None = None
    detected_position: int
    last_position: int  # the newest reading that changed this alert
    found_late: bool = False
    reason: Reason
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    previous_id: UUID | None = None
    inhibited_by: UUID | None = None  # the alert that tells of it as well: this one is announced to nobody
    simulated: bool
    rulebook_version: str
    evidence: dict[str, Any]
    version: int = 1  # how many history rows there are
    escalation: Progress | None = None  # None: it has asked nobody
    escalate_at: datetime | None = None  # when something is to be done for it next
    shelved_until: datetime | None = None
    shelved_by: str | None = None
    shelf_reason: str | None = None
    chattering: bool = False  # more than three episodes in 24 h


def alert_id(subject: str, condition: Condition, detected_position: int) -> UUID:
    """The same episode has the same id, whoever finds it and however often."""
    return uuid5(ALERTS, f"{subject.removeprefix('pump:')}/{condition}/{detected_position}")


def advance(alert: Alert, event: AlertEvent, now: datetime) -> Alert:
    """Return `alert` as it is after `event`, or raise IllegalTransitionError."""
    table = LATCHING_TRANSITIONS if alert.latching else TRANSITIONS
    try:
        state = table[alert.state, event]
    except KeyError:
        raise IllegalTransitionError(f"{event} is not possible while {alert.state}") from None
    asks_again = event in _ASKS_AGAIN
    off_the_shelf = event in _OFF_THE_SHELF or state is AlertState.RESOLVED
    return replace(
        alert,
        state=state,
        state_since=alert.state_since if state is alert.state else now,
        resolved_at=now if state is AlertState.RESOLVED else None,
        acknowledged_at=None if asks_again else alert.acknowledged_at,
        acknowledged_by=None if asks_again else alert.acknowledged_by,
        shelved_until=None if off_the_shelf else alert.shelved_until,
        shelved_by=None if off_the_shelf else alert.shelved_by,
        shelf_reason=None if off_the_shelf else alert.shelf_reason,
        version=alert.version + 1,
    )


def draw(table: TransitionTable) -> str:
    """Return `table` as a Mermaid diagram."""
    lines = [
        "stateDiagram-v2",
        f"    [*] --> {AlertState.ACTIVE}: {AlertEvent.CONDITION_BEGAN}",
        *(f"    {state} --> {after}: {event}" for (state, event), after in table.items()),
        f"    {AlertState.RESOLVED} --> [*]",
    ]
    return "\n".join(lines)
