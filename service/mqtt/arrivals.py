"""How is waited for messages, and between two connections?"""

import asyncio
from typing import Final

RETRY_FIRST_S: Final = 0.1
RETRY_AT_MOST_S: Final = 10.0


class Arrivals:
    """One waiter at a time, who wants so many messages or has waited long enough."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = 1

    async def wait_for(self, wanted: int, wait_s: float) -> None:
        if wait_s <= 0:
            return
        loop = asyncio.get_running_loop()
        self._waiter, self._wanted = loop.create_future(), wanted
        deadline = loop.call_later(wait_s, self._wake)
        try:
            await self._waiter
        finally:
            deadline.cancel()
            self._waiter = None

    def came(self, queued: int) -> None:
        """So many are there now."""
        if queued >= self._wanted:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def next_retry_s(retry_s: float, lived_s: float) -> float:
    """How long to wait after a connection that lived so long, if it was `retry_s` before it.

    A broker that accepts us and hangs up, again and again, is not one that works: only a long life counts.
    """
    if retry_s == 0 or lived_s > RETRY_AT_MOST_S:
        return RETRY_FIRST_S
    return min(2 * retry_s, RETRY_AT_MOST_S)
