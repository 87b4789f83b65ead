"""What does a turn of a condition make of an alert? One move each; what people and time make of it: core/answers.py.

A move is the row afterwards, the history row that records it, and what it asks people to be told.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from service.core.alert import (
    Alert,
    AlertEvent,
    AlertState,
    Reason,
    advance,
    alert_id,
)
from service.core.change import KINDS, WATCHED, Change, Condition, Priority, Turn
from service.core.policy import Target
from service.core.reading import DrugClass
from service.core.subject import NO_PUMP, Subject

RULES: Final = "rules"
"""The actor of every move that no person made."""

LINKED_WITHIN: Final = timedelta(hours=24)
"""An episode that begins this soon after the last one ended names it as `previous_id`."""

OUT_OF_SERVICE: Final = "out_of_service"
"""In the evidence of a condition that ended since nobody is to be told of that pump any more."""

# More episodes than this in 24 h are marked: the first is announced, others if they last (of high priority, all).
CHATTERS_AFTER: Final = 3
CHATTER_OUTLASTS_S: Final = 3600.0

_TOLD_AT_THE_END: Final = frozenset({OUT_OF_SERVICE, "recovered_ms"})  # since when a stalled pump flows again

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NotificationKind(StrEnum):
    ACTIVATED = "activated"
    PRIORITY_ROSE = "priority_rose"
    ESCALATED = "escalated"
    REPEATED = "repeated"
    REMINDER = "reminder"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


NEWS: Final = frozenset({NotificationKind.ACTIVATED, NotificationKind.PRIORITY_ROSE})  # its policy begins anew


class AlertRules(Protocol):
    """What the lifecycle asks of a rulebook."""

    @property
    def version(self) -> str: ...
    @property
    def delayed_announcement_s(self) -> float: ...
    def priority(
        self, condition: Condition, drug_class: DrugClass, step: int, *, site: str | None = None, pump_id: str = ""
    ) -> Priority: ...
    def latches(self, condition: Condition, priority: Priority) -> bool: ...


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """The fields are the columns of the table `alert_history`."""

    alert_id: UUID
    number: int
    at: datetime  # our time
    event: AlertEvent
    actor: str
    note: str
    position: int | None  # the reading that caused it, where one did
    state: AlertState
    priority: Priority


@dataclass(frozen=True, slots=True)
class Move:
    alert: Alert
    history: HistoryRow
    tells: NotificationKind | None
    hold_s: float = 0.0  # not to be told before this is over, or the pump has caught up
    shown: Change | None = None  # the turn that began or raised it: its readings are evidence
    targets: tuple[Target, ...] = ()  # who is told, where that is said of this move

    @property
    def begins(self) -> bool:
        return self.history.number == 1


class AlertWritten(NamedTuple):
    """One change of one alert that is stored, for the log and the metrics."""

    alert_id: UUID
    subject: str
    condition: Condition
    event: AlertEvent
    state: AlertState
    priority: Priority
    position: int  # of the reading that changed it


@dataclass(frozen=True, slots=True)
class Circumstances:
    """About what, under which rules, when by our clock; and whether it was found by rebuilding the pump's state."""

    subject: Subject
    rules: AlertRules
    now: datetime
    late_data: bool = False
    episodes: int = 0  # of this condition and subject that began in the last 24 h, before this one

    def reason(self, change: Change) -> Reason:
        if self.late_data:
            return Reason.LATE_DATA
        return Reason.DELAYED if change.delayed else Reason.IN_ORDER

    def priority(self, change: Change) -> Priority:
        if change.ruled is not None:
            return change.ruled.priority
        about = self.subject
        return self.rules.priority(
            change.condition, about.drug_class, change.step, site=about.site, pump_id=about.pump_id or ""
        )

    def version(self, change: Change) -> str:
        """Of the rulebook that decided it."""
        return self.rules.version if change.ruled is None else change.ruled.rulebook_version


def turn(
    change: Change, current: Alert | None, previous: Alert | None, given: Circumstances, *, announced: bool
) -> Move | None:
    """Return what `change` makes of the open alert `current`, or of none; None if it was applied, or changes nothing.

    `previous` is the newest resolved alert of this condition and subject. `announced`: somebody may have been told
    of `current`.
    """
    if _applied(change, current, previous):
        return None
    if change.turn is Turn.ENDED:
        if current is None or current.state is not AlertState.ACTIVE:
            return None
        return end(current, change, given, announced=announced)
    if current is None:
        return begin(change, previous, given)
    if current.state is AlertState.LATCHED:
        return come_back(current, change, given)
    return rise(current, change, given)


def begin(change: Change, previous: Alert | None, given: Circumstances) -> Move:
    priority = given.priority(change)
    alert = Alert(
        id=alert_id(given.subject.name, change.condition, change.position),
        pump=given.subject.pump or None,
        subject=given.subject.name,
        site=given.subject.site,
        condition=change.condition,
        kind=KINDS[change.condition],
        priority=priority,
        state=AlertState.ACTIVE,
        state_since=given.now,
        latching=given.rules.latches(change.condition, priority),
        began_at=pump_time(change.began_ms),
        detected_at=pump_time(change.at_ms),
        raised_at=given.now,
        detected_position=change.position,
        last_position=change.position,
        reason=given.reason(change),
        previous_id=_linked(change, previous),
        chattering=given.episodes >= CHATTERS_AFTER,
        inhibited_by=change.inhibited_by,
        simulated=given.subject.simulated,
        rulebook_version=given.version(change),
        evidence=_evidence(change),
    )
    move = _by_rule(alert, AlertEvent.CONDITION_BEGAN, change, given, NotificationKind.ACTIVATED)
    if given.episodes > CHATTERS_AFTER and priority is not Priority.HIGH:
        return replace(move, hold_s=max(move.hold_s, CHATTER_OUTLASTS_S))
    return move


def come_back(alert: Alert, change: Change, given: Circumstances) -> Move:
    """The condition of a latched alert holds again. The alert's priority never falls."""
    after = replace(
        _raised(alert, AlertEvent.CONDITION_BEGAN, change, given), ended_at=None, inhibited_by=change.inhibited_by
    )
    return _by_rule(after, AlertEvent.CONDITION_BEGAN, change, given, NotificationKind.ACTIVATED)


def rise(alert: Alert, change: Change, given: Circumstances) -> Move | None:
    """None unless the step that was reached is more urgent for this drug."""
    if given.priority(change).rank <= alert.priority.rank:
        return None
    after = _raised(alert, AlertEvent.PRIORITY_ROSE, change, given)
    return _by_rule(after, AlertEvent.PRIORITY_ROSE, change, given, NotificationKind.PRIORITY_ROSE)


def end(alert: Alert, change: Change, given: Circumstances, *, announced: bool) -> Move:
    """The condition is over. An episode of delayed data, over before anybody was told of it, is found late."""
    held_until = alert.raised_at + timedelta(seconds=given.rules.delayed_announcement_s)
    if alert.reason is Reason.DELAYED and not announced and given.now < held_until:
        return find_late(alert, change, given)
    if alert.inhibited_by is not None and not announced:
        alert = replace(alert, latching=False)  # nobody was told of it, so nobody has to reset it
    after = _over(alert, AlertEvent.CONDITION_ENDED, change, given)
    tells = NotificationKind.RESOLVED if after.state is AlertState.RESOLVED else None
    return _by_rule(after, AlertEvent.CONDITION_ENDED, change, given, tells)


def find_late(alert: Alert, change: Change, given: Circumstances) -> Move:
    """Keep the episode, which is over: low, never announced, nothing for a person to reset."""
    after = _over(alert, AlertEvent.FOUND_LATE, change, given)
    after = replace(after, found_late=True, priority=Priority.LOW, latching=False)
    return _by_rule(after, AlertEvent.FOUND_LATE, change, given, None)


def withdraw(alert: Alert, now: datetime) -> Move:
    """Readings that came late show that the condition never held. Whoever was told of it is told this too."""
    after = replace(advance(alert, AlertEvent.WITHDRAWN, now), ended_at=None, reason=Reason.LATE_DATA)
    return Move(after, history_of(after, AlertEvent.WITHDRAWN, RULES, Reason.LATE_DATA, now), NotificationKind.RESOLVED)


def correct_onset(alert: Alert, change: Change, given: Circumstances) -> Move:
    """It is the same episode, and began where in-order arrival says. Nobody is told of that alone."""
    after = replace(
        advance(alert, AlertEvent.ONSET_CORRECTED, given.now),
        began_at=pump_time(change.began_ms),
        detected_at=pump_time(change.at_ms),
        reason=Reason.LATE_DATA,
        evidence=alert.evidence | _evidence(change) | {"step": alert.evidence["step"]},
    )
    return _by_rule(after, AlertEvent.ONSET_CORRECTED, change, given, None)


def inhibit(alert: Alert, by: UUID, now: datetime) -> Move:
    """The alert `by` tells of this one as well: nobody is told of it any more, unless it outlasts the other."""
    after = replace(advance(alert, AlertEvent.INHIBITED, now), inhibited_by=by)
    return Move(after, history_of(after, AlertEvent.INHIBITED, RULES, str(by), now), None)


def release(alert: Alert, hold_s: float, now: datetime) -> Move:
    """The alert that told of this one is over. This one is told of, unless it ends within `hold_s` as well."""
    after = replace(advance(alert, AlertEvent.RELEASED, now), inhibited_by=None)
    history = history_of(after, AlertEvent.RELEASED, RULES, "", now)
    told = alert.acknowledged_at is not None or alert.shelved_until is not None
    return Move(after, history, None if told else NotificationKind.ACTIVATED, hold_s=hold_s)


def pump_time(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def _applied(change: Change, current: Alert | None, previous: Alert | None) -> bool:
    if change.condition in WATCHED or change.pump == NO_PUMP:
        return current is None and previous is not None and change.position <= previous.detected_position
    newest = current or previous
    return newest is not None and change.position <= newest.last_position


def _linked(change: Change, previous: Alert | None) -> UUID | None:
    if previous is None or previous.ended_at is None:
        return None
    return previous.id if pump_time(change.at_ms) - previous.ended_at <= LINKED_WITHIN else None


def _raised(alert: Alert, event: AlertEvent, change: Change, given: Circumstances) -> Alert:
    priority = max(alert.priority, given.priority(change), key=lambda priority: priority.rank)
    return replace(
        advance(alert, event, given.now),
        priority=priority,
        latching=given.rules.latches(change.condition, priority),
        last_position=max(alert.last_position, change.position),
        reason=Reason.LATE_DATA if given.late_data else alert.reason,
        rulebook_version=given.version(change),
        evidence=alert.evidence | _evidence(change),
    )


def _over(alert: Alert, event: AlertEvent, change: Change, given: Circumstances) -> Alert:
    gone = {key: value for key, value in change.evidence.items() if key in _TOLD_AT_THE_END}
    return replace(
        advance(alert, event, given.now),
        evidence=alert.evidence | gone,
        ended_at=pump_time(change.at_ms),
        last_position=max(alert.last_position, change.position),
        reason=Reason.LATE_DATA if given.late_data else alert.reason,
    )


def _evidence(change: Change) -> dict[str, object]:
    return {**change.evidence, "step": change.step, "began_ms": change.began_ms, "detected_ms": change.at_ms}


def _by_rule(
    alert: Alert, event: AlertEvent, change: Change, given: Circumstances, tells: NotificationKind | None
) -> Move:
    reason = given.reason(change)
    note = "" if reason is Reason.IN_ORDER else str(reason)
    history = history_of(alert, event, RULES, note, given.now, position=change.position)
    shown = change if change.turn is not Turn.ENDED else None
    hold_s = given.rules.delayed_announcement_s if reason is Reason.DELAYED else change.hold_s
    untold = alert.inhibited_by is not None or alert.shelved_until is not None
    if untold and tells is not NotificationKind.RESOLVED:
        tells = None
    return Move(alert, history, tells, hold_s=hold_s, shown=shown)


def history_of(
    alert: Alert, event: AlertEvent, actor: str, note: str, at: datetime, *, position: int | None = None
) -> HistoryRow:
    return HistoryRow(alert.id, alert.version, at, event, actor, note, position, alert.state, alert.priority)
