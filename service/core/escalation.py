"""What must be done so that a person answers, and when? The next deadline of one alert, and what it brings.

An alert goes up its policy's steps until somebody acknowledges it: when the next step's time has come, or at once when
nobody of the last step could be reached; when nobody of the whole policy could, everybody is told. After the last step
all are told again, at growing intervals. Whoever has acknowledged is reminded while the condition lasts; a reminder
without an answer takes the acknowledgement back.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from service.core.alert import Alert, AlertState
from service.core.change import Priority
from service.core.policy import EVERYBODY, FALLBACK, FALLBACKS, Policy, Target
from service.core.progress import Progress

Reaches = Callable[[tuple[Target, ...]], bool]
"""Whether any endpoint that may be told is behind these now."""

OVERDUE: Final = timedelta(seconds=60)
"""What is done this late was due while we were down: the steps after it keep their distance from it."""


class Deed(StrEnum):
    ESCALATE = "escalate"
    FALL_BACK = "fall_back"  # nobody of its policy could be reached
    REPEAT = "repeat"
    REMIND = "remind"
    TAKE_BACK = "take_back"  # the acknowledgement


class Due(NamedTuple):
    """What is to be done, and from when on. `targets`: who is told."""

    at: datetime
    deed: Deed
    targets: tuple[Target, ...] = ()


def begin(policy: Policy, now: datetime) -> tuple[Progress, tuple[Target, ...]]:
    """The alert was raised, or asks again: the first step is told at once."""
    return Progress(policy=policy, began_at=now, steps_told=1, told_at=now), policy.steps[0].targets


def ask(alert: Alert, policy: Policy, reaches: Reaches, now: datetime) -> tuple[Progress, tuple[Target, ...]]:
    """Likewise, with the first step that reaches anybody; everybody, if the whole policy reaches nobody."""
    for number, step in enumerate(policy.steps, start=1):
        if reaches(step.targets):
            return Progress(policy=policy, began_at=now, steps_told=number, told_at=now), step.targets
    progress, targets = begin(FALLBACKS[alert.priority], now)
    if policy.name == FALLBACK.name:
        return progress, targets  # nobody has chosen anything, and there is nobody
    return msgspec.structs.replace(progress, instead_of=policy.name), targets


def next_due(alert: Alert, progress: Progress, unreached_since: datetime | None) -> Due | None:
    """The next thing to be done for this alert; None once no person is needed.

    `unreached_since`: since when it is known that of those told last not one could be reached; after the last step,
    that nobody could since the alert began to ask.
    """
    if alert.state is AlertState.RESOLVED:
        return None
    if alert.acknowledged_at is not None:
        return _after_answer(alert, progress, alert.acknowledged_at)
    policy = progress.policy
    if progress.steps_told < len(policy.steps):
        step = policy.steps[progress.steps_told]
        at = progress.began_at + timedelta(seconds=step.after_s)
        if unreached_since is not None:
            at = min(at, max(unreached_since, progress.told_at or progress.began_at))
        return Due(at, Deed.ESCALATE, step.targets)
    if unreached_since is not None and policy.name != FALLBACK.name:
        return Due(max(unreached_since, progress.told_at or progress.began_at), Deed.FALL_BACK, (EVERYBODY,))
    wait_s = min(policy.repeat_after_s * 2.0 ** min(progress.repeats, 20), policy.repeat_at_most_s)
    return Due((progress.told_at or progress.began_at) + timedelta(seconds=wait_s), Deed.REPEAT, _told(progress))


def done(progress: Progress, due: Due, now: datetime, priority: Priority = Priority.HIGH) -> Progress:
    """The progress of an alert of `priority` once `due` has been done at `now`."""
    late = now - due.at
    match due.deed:
        case Deed.ESCALATE:
            return msgspec.structs.replace(
                progress,
                steps_told=progress.steps_told + 1,
                told_at=now,
                began_at=progress.began_at + late if late > OVERDUE else progress.began_at,
            )
        case Deed.FALL_BACK:
            return Progress(
                policy=FALLBACKS[priority], began_at=now, steps_told=1, told_at=now, instead_of=progress.policy.name
            )
        case Deed.REPEAT:
            return msgspec.structs.replace(progress, repeats=progress.repeats + 1, told_at=now)
        case Deed.REMIND:
            return msgspec.structs.replace(progress, reminded_at=now)
        case Deed.TAKE_BACK:
            # It goes on with the step after the one that had brought the answer.
            return msgspec.structs.replace(progress, began_at=now, reminded_at=None, told_at=now, repeats=0)


def answered(progress: Progress) -> Progress:
    """Somebody has acknowledged, or has answered a reminder: the time to the next reminder begins anew."""
    return msgspec.structs.replace(progress, reminded_at=None)


def awaits_answer(alert: Alert) -> bool:
    """Whoever has acknowledged it was reminded, and has not answered yet."""
    progress = alert.escalation
    return alert.acknowledged_at is not None and progress is not None and progress.reminded_at is not None


def deadline(alert: Alert) -> datetime | None:
    """When something is to be done for the alert next; None: not before something happens to it."""
    if alert.state is AlertState.RESOLVED or alert.inhibited_by is not None:
        return None
    if alert.shelved_until is not None:
        return alert.shelved_until
    due = None if alert.escalation is None else next_due(alert, alert.escalation, None)
    return None if due is None else due.at


def _after_answer(alert: Alert, progress: Progress, acknowledged_at: datetime) -> Due | None:
    if alert.state is not AlertState.ACTIVE:
        return None  # it is over; what is left is a reset, in nobody's hurry
    policy = progress.policy
    if progress.reminded_at is None or progress.reminded_at < acknowledged_at:
        return Due(acknowledged_at + timedelta(seconds=policy.remind_after_s), Deed.REMIND, _told(progress))
    return Due(progress.reminded_at + timedelta(seconds=policy.answer_within_s), Deed.TAKE_BACK, _told(progress))


def _told(progress: Progress) -> tuple[Target, ...]:
    """Everybody of the steps that were told."""
    steps = progress.policy.steps[: progress.steps_told]
    return tuple(dict.fromkeys(target for step in steps for target in step.targets))
