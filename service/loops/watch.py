"""Who notices what nobody says? Of all the processes that watch, one looks once a second at what is stored."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from service.core.lifecycle import AlertWritten
from service.logs import tell, tell_alert
from service.ports import Clock, StoreUnavailableError

LOOK_EVERY_S: Final = 1.0
LONGEST_LOOK_S: Final = 15.0


class Watchtower(Protocol):
    """Where one process at a time looks from."""

    async def look(self, now: datetime) -> Sequence[AlertWritten] | None:
        """Write what has turned by `now`; None while another process leads. Raises StoreUnavailableError."""

    async def close(self) -> None:
        """Lead no longer."""


class Lookout:
    """When was the last look, and what came of it? For whoever asks whether this process watches."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_at = clock()
        self._trouble = ""

    def looked(self, trouble: str = "") -> None:
        self._looked_at, self._trouble = self._clock(), trouble

    @property
    def problem(self) -> str:
        """Empty while all is well."""
        ago_s = (self._clock() - self._looked_at).total_seconds()
        return self._trouble or ("" if ago_s < LONGEST_LOOK_S else f"its look has been under way for {ago_s:.0f} s")


async def watch(tower: Watchtower, clock: Clock, stop: asyncio.Event, lookout: Lookout | None = None) -> None:
    """Look until `stop`. What the database cannot answer is asked again; nothing is remembered in between."""
    lookout = lookout or Lookout(clock)
    leads, reachable = False, True
    try:
        while not stop.is_set():
            try:
                written = await tower.look(clock())
            except StoreUnavailableError as error:
                if reachable:
                    tell("watch_interrupted", logging.WARNING, reason=error)
                leads, reachable = False, False
                lookout.looked(f"its last look failed: {error}")
            else:
                reachable = True
                lookout.looked()
                if leads != (written is not None):
                    leads = not leads
                    tell("watch_leads" if leads else "watch_stands_by")
                for each in written or ():
                    tell_alert(each)
            await _pause(stop)
    finally:
        await tower.close()


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_EVERY_S):
            await stop.wait()
    except TimeoutError:
        return
