"""Who notices what nobody says? Of all the processes that watch, one looks once a second at what is stored."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from service.core.lifecycle import AlertWritten
from service.logs import tell
from service.ports import Clock, StoreUnavailableError

LOOK_EVERY_S: Final = 1.0


class Watchtower(Protocol):
    """Where one process at a time looks from."""

    async def look(self, now: datetime) -> Sequence[AlertWritten] | None:
        """Write what has turned by `now`; None while another process leads. Raises StoreUnavailableError."""

    async def close(self) -> None:
        """Lead no longer."""


async def watch(tower: Watchtower, clock: Clock, stop: asyncio.Event) -> None:
    """Look until `stop`. What the database cannot answer is asked again; nothing is remembered in between."""
    leads, reachable = False, True
    try:
        while not stop.is_set():
            try:
                written = await tower.look(clock())
            except StoreUnavailableError as error:
                if reachable:
                    tell("watch_interrupted", logging.WARNING, reason=error)
                leads, reachable = False, False
            else:
                reachable = True
                if leads != (written is not None):
                    leads = not leads
                    tell("watch_leads" if leads else "watch_stands_by")
                for each in written or ():
                    tell(f"alert_{each.event}", **_fields(each))
            await _pause(stop)
    finally:
        await tower.close()


def _fields(written: AlertWritten) -> dict[str, Any]:
    return {
        "alert": written.alert_id,
        "subject": written.subject,
        "condition": written.condition,
        "priority": written.priority,
        "state": written.state,
    }


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_EVERY_S):
            await stop.wait()
    except TimeoutError:
        return
