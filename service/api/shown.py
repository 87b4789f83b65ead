"""What many ask at once, and costs a look at every pump: the last answer, shown while it is made anew."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


class Shown(Generic[Key, Answer]):
    """Answers by what was asked. Up to `new_for_s` old they are shown as they are, up to `shown_for_s` while they are
    made again; who asks for an older one waits for it, and with all others who do for the same.
    """

    def __init__(self, new_for_s: float, shown_for_s: float) -> None:
        self._new_for_s, self._shown_for_s = new_for_s, shown_for_s
        self._last: dict[Key, tuple[float, Answer]] = {}
        self._making: dict[Key, asyncio.Task[Answer]] = {}

    async def get(self, key: Key, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """Raises what `make` raises, to those alone who wait for it."""
        kept = self._last.get(key)
        age_s = math.inf if kept is None else time.monotonic() - kept[0]
        if kept is not None and age_s <= self._new_for_s:
            return kept[1]
        making = self._making.get(key) or self._begin(key, make)
        if kept is not None and age_s <= self._shown_for_s:
            return kept[1]
        return await asyncio.shield(making)  # who goes away takes it from nobody else

    def _begin(self, key: Key, make: Callable[[], Awaitable[Answer]]) -> asyncio.Task[Answer]:
        making = self._making[key] = asyncio.create_task(self._make(key, make))
        making.add_done_callback(_looked_at)
        return making

    async def _make(self, key: Key, make: Callable[[], Awaitable[Answer]]) -> Answer:
        asked_s = time.monotonic()
        try:
            answer = await make()
        finally:
            del self._making[key]
        self._last = {each: kept for each, kept in self._last.items() if asked_s - kept[0] <= self._shown_for_s}
        self._last[key] = asked_s, answer
        return answer


def _looked_at(making: asyncio.Task[Answer]) -> None:
    # Where nobody waits for it, nobody is told that it failed: whoever asks when the last is too old, is.
    if not making.cancelled():
        making.exception()
