"""Whom does each move of an alert tell, from when on, and when is something to be done for that alert next?"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import UUID

import msgspec

from service.core import canary
from service.core.alert import Alert, AlertEvent
from service.core.escalation import ask, begin, deadline
from service.core.lifecycle import NEWS, Move, NotificationKind
from service.core.policy import EVERYBODY, FALLBACKS, Target, quiet_until
from service.core.progress import Progress
from service.core.roster import Roster
from service.core.routing import Route, told
from service.core.subject import Subject


@dataclass(frozen=True, slots=True)
class Asked:
    """Which endpoints were asked to act on an alert, or are to be."""

    ever: set[UUID] = field(default_factory=set)
    attempted: set[UUID] = field(default_factory=set)  # they may have been told
    waiting: set[UUID] = field(default_factory=set)  # something that asks has yet to arrive there


@dataclass(frozen=True, slots=True)
class Book:
    """Who there is to be told."""

    roster: Roster
    routes: Sequence[Route]

    def behind(self, targets: Iterable[Target], alert: Alert, at: datetime) -> list[Route]:
        """The endpoints behind targets that may be told of the alert."""
        names = self.roster.endpoints(targets, at)
        return [route for route in self.may_be_told(alert) if names is None or route.name in names]

    def may_be_told(self, alert: Alert) -> list[Route]:
        return told(self.routes, alert.priority, simulated=alert.simulated, canary=alert.subject == canary.SUBJECT)


@dataclass(frozen=True, slots=True)
class Told:
    """A move, with the alert's progress and deadline; who is told of it, and from when on."""

    move: Move
    routes: Sequence[Route]
    due_at: datetime


def tell(
    moves: Sequence[Move], subjects: Mapping[str, Subject], book: Book, asked: Mapping[UUID, Asked], now: datetime
) -> list[Told]:
    """Say of each move whom it tells. The moves of one alert are in their order."""
    followed = _inhibited_next(moves)
    known: dict[UUID, Progress | None] = {}
    so_far = dict(asked)
    found = []
    for number, move in enumerate(moves):
        key = move.alert.id
        if key in known and not move.targets and move.tells is not NotificationKind.ACKNOWLEDGED:
            move = replace(move, alert=replace(move.alert, escalation=known[key]))  # noqa: PLW2901 - the same move
        if number in followed:
            move = replace(move, tells=None)  # noqa: PLW2901 - another alert tells of it
        each = _tell(move, subjects[move.alert.subject], book, so_far.setdefault(key, Asked()), now)
        known[key] = each.move.alert.escalation
        if move.tells not in {None, NotificationKind.RESOLVED, NotificationKind.ACKNOWLEDGED}:
            so_far[key].ever.update(route.endpoint for route in each.routes)
            so_far[key].waiting.update(route.endpoint for route in each.routes)
        found.append(each)
    return found


def _inhibited_next(moves: Sequence[Move]) -> set[int]:
    """Which of these moves are undone, as to being told, by the next one of their alert."""
    before: dict[UUID, int] = {}
    found = set()
    for number, move in enumerate(moves):
        if move.history.event is AlertEvent.INHIBITED and move.alert.id in before:
            found.add(before[move.alert.id])
        before[move.alert.id] = number
    return found


def _tell(move: Move, subject: Subject, book: Book, asked: Asked, now: datetime) -> Told:
    alert, due_at = move.alert, now + timedelta(seconds=move.hold_s)
    routes: Sequence[Route] = []
    match move.tells:
        case None:
            pass
        case NotificationKind.ACKNOWLEDGED:
            routes = _those(book.may_be_told(alert), asked.ever)
        case NotificationKind.RESOLVED:  # whoever was never told that it began is not told that it is over
            routes = _those(book.may_be_told(alert), asked.attempted)
        case kind if kind in NEWS:
            move, routes, due_at = _news(move, subject, book, asked, due_at)
        case _:
            move, routes = _said_again(move, book, asked, now)
    return Told(replace(move, alert=replace(move.alert, escalate_at=deadline(move.alert))), routes, due_at)


def _news(
    move: Move, subject: Subject, book: Book, asked: Asked, due_at: datetime
) -> tuple[Move, Sequence[Route], datetime]:
    """The alert asks, or asks again: its policy begins anew, and whoever was asked before is told as well."""
    alert = move.alert
    policy = book.roster.policy(subject.site, subject.drug_class, alert.priority)
    if alert.subject == canary.SUBJECT:  # no policy of people's reaches its endpoint
        policy = FALLBACKS[alert.priority]
    due_at = quiet_until(policy.quiet, alert.priority, zone_of(subject, book.roster), due_at) or due_at
    progress, targets = ask(alert, policy, lambda to: bool(book.behind(to, alert, due_at)), due_at)
    behind = {route.endpoint for route in book.behind(targets, alert, due_at)}
    routes = _those(book.may_be_told(alert), behind | asked.ever)
    return _with(move, progress), routes, due_at


def _said_again(move: Move, book: Book, asked: Asked, now: datetime) -> tuple[Move, Sequence[Route]]:
    """Nobody has answered. Where something that asks has yet to arrive, nothing is put behind it."""
    routes = book.behind(move.targets, move.alert, now)
    if not routes and move.tells is NotificationKind.REPEATED and move.alert.escalation is not None:
        before = move.alert.escalation
        progress, _ = begin(FALLBACKS[move.alert.priority], now)
        if before.policy.name != progress.policy.name:
            move = _with(move, msgspec.structs.replace(progress, instead_of=before.policy.name))
            routes = book.behind([EVERYBODY], move.alert, now)
    elif not routes:
        move = replace(move, history=replace(move.history, note=f"nobody is behind {', '.join(move.targets)}"))
    return move, [route for route in routes if route.endpoint not in asked.waiting]


def _with(move: Move, progress: Progress) -> Move:
    number = move.history.number
    progress = msgspec.structs.replace(progress, told_number=number, first_number=number)
    history = move.history
    if progress.instead_of:
        note = f"the policy {progress.instead_of} reaches no endpoint: everybody is told"
        history = replace(history, note=f"{history.note}; {note}" if history.note else note)
    return replace(move, alert=replace(move.alert, escalation=progress), history=history)


def zone_of(subject: Subject, roster: Roster) -> tzinfo:
    """The site's time zone; UTC where it is not known."""
    return roster.zones.get(subject.time_zone, UTC)


def _those(routes: Iterable[Route], endpoints: Collection[UUID]) -> list[Route]:
    return [route for route in routes if route.endpoint in endpoints]
