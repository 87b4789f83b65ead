"""Does the way from pump to person hold, and who hears of it while it does not? Told without the database, by a direct
line; and somebody outside is called as long as every link holds.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import uuid4

from service.core.delivery import Attempt, Outcome
from service.core.direct import Direct
from service.core.outage import Outage
from service.core.way import Broken, Seen
from service.logs import tell
from service.loops.outage_memory import OutageMemory
from service.metrics import Metrics
from service.ports import Clock, StoreUnavailableError

LOOK_EVERY_S: Final = 2.0
LONGEST_PAUSE_S: Final = 30.0


class Probe(Protocol):
    async def look(self, now: datetime) -> Seen:
        """Connect anew, write, and read. Raises StoreUnavailableError."""


class Line(Protocol):
    async def say(self, letter: str, body: Mapping[str, Any], now: datetime) -> Attempt: ...


class Guard:
    """`line`: who is told directly; `outside`: who is called every `heartbeat_every` while all is well; or nobody."""

    def __init__(
        self,
        probe: Probe,
        clock: Clock,
        metrics: Metrics,
        *,
        after: timedelta,
        line: Line | None = None,
        outside: Line | None = None,
        heartbeat_every: timedelta = timedelta(seconds=60),
        memory: OutageMemory | None = None,
    ) -> None:
        self._probe, self._clock, self._metrics = probe, clock, metrics
        self._outage = Outage(after)
        self._memory = memory
        if memory is not None and (remembered := memory.recall()) is not None:
            self._outage.go_on(remembered, clock())
        self._direct = Direct("outage")
        self._line, self._outside, self._heartbeat_every = line, outside, heartbeat_every
        self._called_at: datetime | None = None
        self._again_at: datetime | None = None
        self._failures = 0
        self._links: dict[str, str] = {}
        self._beyond: Sequence[Broken] = ()  # what could not be delivered when that was last known
        self.all_well = asyncio.Event()
        """Set once every link has held."""

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.turn()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await stop.wait()
            except TimeoutError:
                continue

    def storage(self, now: datetime) -> Sequence[Broken]:
        """What is to stand in the database of an outage of it."""
        outage = self._outage.recorded(now)
        return () if outage is None else (outage,)

    async def turn(self) -> None:
        """Look once, say what is to be said, and call outside if it is time and all is well."""
        now = self._clock()
        try:
            seen = await self._probe.look(now)
        except StoreUnavailableError as error:
            now = self._clock()  # it may have taken seconds to find that out
            self._outage.failed(str(error), now)
            seen = Seen([("database", f"database: {error}")], ())
        else:
            self._outage.answered(self._clock())
        if self._memory is not None:
            self._memory.keep(self._outage.remembered)
        self._tell(seen.links)
        self._metrics.storage_outage_seconds.set(self._outage.lasted_s(now))
        outage = self._outage.broken(now)
        if outage is None and not self._outage.lasted_s(now):
            self._beyond = seen.beyond_delivery
        # Else as it was: who could not write while the database was away is not silent for that.
        await self._say([*([] if outage is None else [outage]), *self._beyond], now)
        await self._call(seen.links, now)

    async def _say(self, broken: Sequence[Broken], now: datetime) -> None:
        if self._line is None:
            return
        letters = self._direct.look(broken, now)
        if not letters or (self._again_at is not None and now < self._again_at):
            return
        for letter in letters:
            attempt = await self._line.say(letter.id, letter.body, now)
            self._metrics.direct_attempts.labels(outcome=str(attempt.outcome)).inc()
            fields = {"kind": letter.kind, "condition": letter.key[1], "subject": letter.key[0]}
            if attempt.outcome is Outcome.DELIVERED:
                self._direct.arrived(letter, self._clock())
                self._failures, self._again_at = 0, None
                tell("told_directly", logging.WARNING, **fields)
            else:
                pause_s = min(2.0**self._failures, LONGEST_PAUSE_S)
                self._failures = min(self._failures + 1, 10)
                self._again_at = now + timedelta(seconds=pause_s)
                tell("direct_line_failed", logging.ERROR, **fields, outcome=attempt.outcome, detail=attempt.detail)

    async def _call(self, links: Sequence[tuple[str, str]], now: datetime) -> None:
        """A call that is missed is all that an outside watch goes by: none is made up for."""
        if self._outside is None or (self._called_at is not None and now < self._called_at + self._heartbeat_every):
            return
        self._called_at = now
        if links:
            self._metrics.heartbeats.labels(outcome="withheld").inc()
            tell("heartbeat_withheld", logging.WARNING, reason=links[0][1], reasons=len(links))
            return
        at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        body = {"type": "service.heartbeat", "timestamp": at, "data": {"what": "Pumps are watched, and alerts go out."}}
        attempt = await self._outside.say(str(uuid4()), body, now)
        self._metrics.heartbeats.labels(outcome=str(attempt.outcome)).inc()
        if attempt.outcome is not Outcome.DELIVERED:
            tell("heartbeat_not_sent", logging.ERROR, outcome=attempt.outcome, detail=attempt.detail)

    def _tell(self, links: Sequence[tuple[str, str]]) -> None:
        """Each link's state as a number, and in the log what has changed."""
        now = dict(reversed(links))
        if not now:
            self.all_well.set()
        for link in now.keys() | self._links.keys():
            self._metrics.link_broken.labels(link=link).set(link in now)
        for link in now.keys() - self._links.keys():
            tell("link_broken", logging.WARNING, link=link, reason=now[link])
        for link in self._links.keys() - now.keys():
            tell("link_holds_again", link=link)
        self._links = now
