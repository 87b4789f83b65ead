"""What is done while the database works? The next batch is read as far as it has come: understood, and not decided."""

import asyncio
from collections.abc import Coroutine, Mapping
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, TypeVar

from service.core.decode import Decoded, Decoding
from service.core.repeats import Repeater
from service.ports import MarkedInbox, RawMessage

MESSAGES_A_BATCH: Final = 5_000
BYTES_A_BATCH: Final = 4 * 1024 * 1024
AT_ONCE: Final = 500
"""Messages between two looks at what the database has answered: about a millisecond."""

LOOK_EVERY_S: Final = 0.002

Answer = TypeVar("Answer")


class Gathered:
    """A batch as far as it has come."""

    def __init__(self, row_of: Mapping[bytes, int], limited: Mapping[bytes, Repeater]) -> None:
        self.messages: list[RawMessage] = []
        self.took_s = 0.0  # to understand it
        self._decoding = Decoding(row_of, limited)
        self._bytes = 0

    @property
    def room(self) -> int:
        """How many messages more are a whole batch."""
        return MESSAGES_A_BATCH - len(self.messages) if self._bytes < BYTES_A_BATCH else 0

    def read(self, messages: list[RawMessage]) -> None:
        began = perf_counter()
        self._decoding.read(messages)
        self._bytes += sum(len(message.payload) for message in messages)
        self.messages += messages
        self.took_s += perf_counter() - began

    def decoded(self) -> Decoded:
        """All of it. Nothing more is read into it afterwards."""
        began = perf_counter()
        decoded = self._decoding.finished()
        self.took_s += perf_counter() - began
        return decoded


class Ahead:
    """Where batches are gathered: small ones while it is quiet, and under load whatever has come meanwhile."""

    def __init__(
        self,
        inbox: MarkedInbox,
        row_of: Mapping[bytes, int],
        limited: Mapping[bytes, Repeater] = MappingProxyType({}),
    ) -> None:
        self._inbox, self._row_of, self._limited = inbox, row_of, limited
        self.gathering = Gathered(row_of, limited)

    async def batch(self, wait_s: float) -> Gathered:
        """What was read ahead and what has come since; where there is neither, what comes within `wait_s`."""
        gathered = self.gathering
        if gathered.room:
            gathered.read(await self._inbox.drain(gathered.room, wait_s))
        self.gathering = Gathered(self._row_of, self._limited)
        return gathered

    async def during(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Wait for the database's answer to `work`."""
        working = asyncio.ensure_future(work)
        try:
            while not working.done():
                room = self.gathering.room
                if room and (messages := self._inbox.drain_ahead(min(AT_ONCE, room))):
                    self.gathering.read(messages)
                    await asyncio.sleep(0)
                else:
                    await asyncio.wait([working], timeout=LOOK_EVERY_S if room else None)
        finally:
            working.cancel()
        return await working
