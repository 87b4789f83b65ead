"""Since when does the database not answer, and is that over? From what came of trying it, again and again."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from service.core.change import Condition
from service.core.lifecycle import EPOCH
from service.core.way import Broken

BACK_WITHIN: Final = timedelta(seconds=10)
"""Who can write to a database that does not answer here may only be the first to see that it is back."""
RECORDED_FOR: Final = timedelta(seconds=60)
"""An outage that is over is an alert in the database for so long, so that whoever is told by that hears of it too."""
REMEMBERED_FOR: Final = timedelta(minutes=10)
"""Who begins within this of what another has seen last goes on with its outage; after that it is another one."""


class Remembered(NamedTuple):
    """What outlives the process that watches: the outage has one name for whoever is told of it."""

    since: datetime
    failed_at: datetime  # at last


class Outage:
    """An outage counts once it has lasted for `after`, and is over once the database has answered for as long."""

    def __init__(self, after: timedelta) -> None:
        self._after = after
        self._since: datetime | None = None
        self._failed_at: datetime | None = None
        self._back_at: datetime | None = None
        self._counts = False
        self._reason = ""
        self._writable_since: datetime | None = None  # for others

    @property
    def remembered(self) -> Remembered | None:
        """While there is one."""
        return None if self._since is None or self._failed_at is None else Remembered(self._since, self._failed_at)

    def go_on(self, remembered: Remembered, now: datetime) -> None:
        """Another process has seen this of it; nothing is known since."""
        if now - remembered.failed_at < REMEMBERED_FOR:
            self._since, self._failed_at = remembered
            self._counts = self._failed_at - self._since >= self._after

    def failed(self, reason: str, now: datetime) -> None:
        if self._since is None or (self._back_at is not None and now - self._back_at >= self._after):
            self._since, self._counts = now, False
        self._back_at, self._reason, self._failed_at = None, reason, now
        self._counts = self._counts or now - self._since >= self._after

    def answered(self, now: datetime) -> None:
        if self._since is None:
            return
        if not self._counts:
            self._since = None
            return
        self._back_at, self._writable_since = self._back_at or now, None
        if now - self._back_at >= max(self._after, RECORDED_FOR):
            self._since, self._back_at, self._counts = None, None, False

    def lasted_s(self, now: datetime) -> float:
        """0 while it answers."""
        return 0.0 if self._since is None or self._back_at is not None else (now - self._since).total_seconds()

    def broken(self, now: datetime) -> Broken | None:
        """To be told of without the database."""
        if not self._counts or (self._back_at is not None and now - self._back_at >= self._after):
            return None
        return self._broken()

    def recorded(self, now: datetime) -> Broken | None:
        """To be told of by the database: when it is over, and where it takes what others write all the same.

        Asked by whoever can write to it.
        """
        if not self._counts or (self._back_at is not None and now - self._back_at >= RECORDED_FOR):
            return None
        if self._back_at is None:
            self._writable_since = self._writable_since or now
            if now - self._writable_since < BACK_WITHIN:
                return None
        return self._broken()

    def _broken(self) -> Broken | None:
        if self._since is None:
            return None
        until = {} if self._back_at is None else {"until_ms": (self._back_at - EPOCH) // timedelta(milliseconds=1)}
        return Broken(
            condition=Condition.STORAGE_UNAVAILABLE,
            part="storage",
            since=self._since,
            evidence={"reason": self._reason, **until},
            by_since=True,
        )
