"""What is said where an alert cannot go its usual way? The same bodies, made and repeated from memory alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import uuid5

from service.core.alert import Alert
from service.core.bodies import body_of
from service.core.change import Condition
from service.core.lifecycle import EPOCH, Circumstances, NotificationKind, begin, end
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.subject import Subject
from service.core.way import Broken, began_of, ended_of

REPEAT_AFTER: Final = timedelta(minutes=5)
REPEAT_AT_MOST: Final = timedelta(hours=1)

_Key = tuple[str, Condition]


class Letter(NamedTuple):
    """One thing to be said: equal bytes under one id, until it has arrived."""

    key: _Key
    id: str
    kind: NotificationKind
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Standing:
    alert: Alert
    told_at: datetime | None = None  # the last time that it arrived
    repeats: int = 0
    letter: Letter | None = None  # on its way
    over: bool = False


class Direct:
    """Who is told by it is told of each thing that is broken, again while it lasts, and when it is over."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._standing: dict[_Key, _Standing] = {}

    def look(self, broken: Iterable[Broken], now: datetime) -> list[Letter]:
        """What is to be sent now; the same letters again until `arrived`."""
        by_key = {(each.subject, each.condition): each for each in broken}
        for key, each in by_key.items():
            if key not in self._standing or self._standing[key].over:
                self._standing[key] = _Standing(_alert(each, now))
        for key in [key for key in self._standing if key not in by_key]:
            self._end(key, now)
        for key, standing in self._standing.items():
            self._standing[key] = replace(standing, letter=standing.letter or self._next(key, standing, now))
        return [standing.letter for standing in self._standing.values() if standing.letter is not None]

    def arrived(self, letter: Letter, now: datetime) -> None:
        standing = self._standing.get(letter.key)
        if standing is None or standing.letter != letter:
            return
        if standing.over:
            del self._standing[letter.key]
            return
        repeats = standing.repeats + (standing.told_at is not None)
        self._standing[letter.key] = replace(standing, told_at=now, repeats=repeats, letter=None)

    def _end(self, key: _Key, now: datetime) -> None:
        standing = self._standing[key]
        if standing.over:
            return
        if standing.told_at is None and standing.letter is None:
            del self._standing[key]
            return
        # A letter on its way may have arrived, whatever came back: then its end must be told of, too.
        change = ended_of(*key, _ms(now))
        over = end(standing.alert, change, Circumstances(Subject(name=key[0]), DEFAULT_RULEBOOK, now), announced=True)
        self._standing[key] = replace(standing, alert=over.alert, over=True, letter=None)

    def _next(self, key: _Key, standing: _Standing, now: datetime) -> Letter | None:
        if standing.over:
            return self._letter(key, NotificationKind.RESOLVED, standing, now)
        if standing.told_at is None:
            return self._letter(key, NotificationKind.ACTIVATED, standing, now)
        if now < standing.told_at + min(REPEAT_AFTER * 2 ** min(standing.repeats, 10), REPEAT_AT_MOST):
            return None
        return self._letter(key, NotificationKind.REPEATED, standing, now)

    def _letter(self, key: _Key, kind: NotificationKind, standing: _Standing, now: datetime) -> Letter:
        alert, subject = standing.alert, Subject(name=key[0])
        do_now = DEFAULT_RULEBOOK.do_now(alert.condition)
        body = body_of(kind, alert, subject, do_now, now, told=[self._endpoint])
        return Letter(key, str(uuid5(alert.id, f"direct/{kind}/{standing.repeats}")), kind, body)


def _alert(broken: Broken, now: datetime) -> Alert:
    given = Circumstances(Subject(name=broken.subject), DEFAULT_RULEBOOK, now)
    return begin(began_of(broken, _ms(now)), None, given).alert


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)
