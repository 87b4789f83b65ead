"""Who looks, and what must they be shown now? One reader of the feed a process, a bounded queue for each who looks."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

import asyncpg

from service.metrics import Metrics
from service.postgres import changes
from service.postgres.accounts import Account
from service.postgres.changes import Changed, Place
from service.postgres.outage import OUTAGES
from service.postgres.waking import woken_by

MOST_WAITING: Final = 500
"""What one who looks may be behind; a phone that sleeps is let go, and comes back with the place where it was."""
POLLED_EVERY_S: Final = 2.0
"""Also without a call: one may have been missed."""
AGAIN_AFTER_S: Final = 0.05
READINGS_EVERY_S: Final = 1.0


class Wanted(NamedTuple):
    """What somebody asked to see. Empty: all of it."""

    kinds: frozenset[str]
    sites: frozenset[str] = frozenset()
    pumps: frozenset[str] = frozenset()


class Shown(NamedTuple):
    kind: str
    body: str
    """JSON."""
    place: Place | None = None
    """None: a reading; it has none, since the next one replaces it."""


class Look:
    """One who looks. Once it is let go, `why` says so and nothing more comes."""

    def __init__(self, account: Account, wanted: Wanted) -> None:
        self.account, self.wanted = account, wanted
        self.why = ""
        self.queue: asyncio.Queue[Shown] = asyncio.Queue(MOST_WAITING)

    def wants(self, kind: str, pump_id: str | None, site: str | None) -> bool:
        wanted = self.wanted
        return (
            kind in wanted.kinds
            and self.account.sees(site)
            and (not wanted.sites or site in wanted.sites)
            and (not wanted.pumps or pump_id in wanted.pumps)
        )

    def offer(self, shown: Shown) -> None:
        try:
            self.queue.put_nowait(shown)
        except asyncio.QueueFull:
            self.let_go("too_slow")

    def let_go(self, why: str) -> None:
        """End it, also while it waits for something to be shown."""
        self.why = self.why or why
        if self.queue.empty():
            self.queue.put_nowait(Shown("bye", "{}"))


class Live:
    """Reads the feed once for everybody who looks; begins with the first who does."""

    def __init__(self, pool: asyncpg.Pool, database_url: str, metrics: Metrics) -> None:
        self._pool, self._database_url, self._metrics = pool, database_url, metrics
        self._looks: set[Look] = set()
        self._place: Place | None = None
        """Up to where the feed was shown; None while nobody looks."""
        self._beginning = asyncio.Lock()
        self._somebody = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def add(self, look: Look) -> None:
        """Show it all that changes from now on."""
        async with self._beginning:
            if self._place is None:
                async with self._pool.acquire() as connection:
                    self._place = await changes.newest(connection)
            self._looks.add(look)
        self._metrics.stream_clients.set(len(self._looks))
        self._somebody.set()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())

    def remove(self, look: Look) -> None:
        self._looks.discard(look)
        self._metrics.stream_clients.set(len(self._looks))
        if look.why:
            self._metrics.stream_clients_dropped.labels(look.why).inc()
        if not self._looks:
            self._somebody.clear()
            self._place = None

    async def close(self) -> None:
        """Let everybody go: a browser comes back by itself, to whoever answers then."""
        for look in self._looks:
            look.let_go("closing")
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    async def _read(self) -> None:
        heard_at, next_readings = datetime.now(UTC), 0.0
        clock = asyncio.get_running_loop().time
        async with woken_by(self._database_url, changes.CHANNEL) as wake:
            while await self._somebody.wait():
                more = False
                with suppress(*OUTAGES):
                    async with self._pool.acquire() as connection:
                        more = await self._changes(connection)
                        if clock() >= next_readings:
                            heard_at = await self._readings(connection, heard_at)
                            next_readings = clock() + READINGS_EVERY_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN_AFTER_S if more else self._readings_in_s()):
                        await wake.wait()
                wake.clear()

    def _readings_in_s(self) -> float:
        return READINGS_EVERY_S if any("reading" in look.wanted.kinds for look in self._looks) else POLLED_EVERY_S

    async def _changes(self, connection: asyncpg.Connection) -> bool:
        """Show what is new. True: there is more, at once or as soon as an older transaction has ended."""
        place = self._place
        if place is None:
            return False
        found = await changes.after(connection, place)
        for changed in found:
            shown = _shown(changed)
            for look in self._looks:
                if look.wants(changed.kind, changed.pump_id, changed.site):
                    look.offer(shown)
        if found and self._place == place:  # else nobody looks any more, or somebody has begun anew
            self._place = found[-1].place
        return len(found) == changes.AT_ONCE or await changes.pending(connection)

    async def _readings(self, connection: asyncpg.Connection, since: datetime) -> datetime:
        looks = [look for look in self._looks if "reading" in look.wanted.kinds]
        pumps: set[str] = set().union(*(look.wanted.pumps for look in looks))
        for row in await changes.latest_of(connection, pumps, since) if pumps else []:
            for look in looks:
                if look.wants("reading", row["pump_id"], row["site"]):
                    look.offer(Shown("reading", row["body"]))
            since = row["received_at"]
        return since


async def since(connection: asyncpg.Connection, look: Look, place: Place) -> tuple[list[Shown], Place] | None:
    """What it missed after `place`, and up to where; None: too much, or no longer kept."""
    if not await changes.reaches_back_to(connection, place):
        return None
    missed: list[Shown] = []
    while found := await changes.after(connection, place):
        missed += [_shown(one) for one in _wanted(look, found)]
        place = found[-1].place
        if len(missed) > MOST_WAITING * 4:
            return None
    return missed, place


def _wanted(look: Look, found: Iterable[Changed]) -> Iterable[Changed]:
    return (one for one in found if look.wants(one.kind, one.pump_id, one.site))


def _shown(changed: Changed) -> Shown:
    return Shown(changed.kind, changed.body, changed.place)
