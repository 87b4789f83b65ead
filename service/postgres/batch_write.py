"""How is a batch written, whatever the database says of it? Straight; compared with what is stored; or not, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from service.core.fleet import Fleet
from service.core.pipeline import Decisions
from service.core.rejection import Rejection
from service.logs import tell, tell_alert
from service.ports import RawMessage, Refused, RefusedError
from service.postgres.alerts import AlertStore
from service.postgres.batches import Put, write_batch
from service.postgres.fence import FencedWriter
from service.postgres.putting import REFUSALS, refused_among

_COMPARED_TIMES: Final = 3
"""Somebody else may store the same at the same time; more often than this it is another table that has it twice."""


@dataclass(frozen=True, slots=True)
class BatchWrite:
    fleet: Fleet
    decisions: Decisions
    bodies: Sequence[bytes]
    rejected: Sequence[tuple[RawMessage, Rejection]]
    alerts: AlertStore
    now: datetime
    reconnected_at: datetime | None

    async def through(self, writer: FencedWriter) -> int:
        """Return how much of it was stored already. Raises RefusedError, and what is no row's fault."""
        try:
            for attempt in range(1 + _COMPARED_TIMES):
                try:
                    return await self._written(writer, compared=attempt > 0)
                except asyncpg.UniqueViolationError as error:
                    if attempt == _COMPARED_TIMES:
                        raise
                    tell("batch_compared_with_the_store", table=error.table_name, items=len(self.decisions.stored))
        except REFUSALS as error:
            refused = await self._refused(writer)
            if not refused:
                raise
            tell("store_refused", items=len(refused), reason=error)
            raise RefusedError(refused) from None
        raise AssertionError

    async def _written(self, writer: FencedWriter, *, compared: bool) -> int:
        put = Put()

        async def write(connection: asyncpg.Connection) -> None:
            nonlocal put
            put = await write_batch(
                connection,
                self.fleet,
                self.decisions,
                self.bodies,
                self.rejected,
                self.alerts,
                self.now,
                reconnected_at=self.reconnected_at,
                compared=compared,
            )

        await writer.write(write)
        for each in put.written:
            tell_alert(each)
        return put.known

    async def _refused(self, writer: FencedWriter) -> list[Refused]:
        found: list[Refused] = []

        async def look(connection: asyncpg.Connection) -> None:
            found[:] = await refused_among(connection, self.decisions.stored, self.bodies, self.now)

        await writer.read(look)
        return found
