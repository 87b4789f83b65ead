"""When is each pump's state written down, lest a restart fold it all again? Once a minute, evenly spread."""

from collections.abc import Sequence
from math import inf
from typing import Final

import numpy as np

from service.core.fleet import Fleet
from service.loops.recover import checkpoints_of
from service.ports import Clock, IngestStore

CHECKPOINT_EVERY_MS: Final = 60_000
CHECKPOINTS_AT_ONCE: Final = 1_000
LEAST_A_MINUTE: Final = 6_000
DAY_MS: Final = 86_400_000


class Checkpoints:
    def __init__(self, store: IngestStore, fleet: Fleet, clock: Clock) -> None:
        self._store, self._fleet, self._clock = store, fleet, clock
        self._may_write = float(CHECKPOINTS_AT_ONCE)
        self._looked_ms = -inf

    async def write_due(self, now_ms: int) -> None:
        """No faster than the whole fleet in a minute: where all its pumps are new at once, batches must go on."""
        fleet = self._fleet
        a_minute = max(len(fleet), LEAST_A_MINUTE)
        earned = a_minute * (now_ms - self._looked_ms) / CHECKPOINT_EVERY_MS
        self._may_write = min(self._may_write + earned, CHECKPOINTS_AT_ONCE)
        self._looked_ms = now_ms
        behind = fleet.ledger.evaluated != fleet.checkpointed
        rows = np.flatnonzero(behind & (now_ms - fleet.checkpointed_ms >= CHECKPOINT_EVERY_MS))
        most = int(self._may_write)
        if len(rows) > most:
            rows = np.sort(rows[np.argsort(fleet.checkpointed_ms[rows], kind="stable")[:most]])
        self._may_write -= len(rows)
        await self._write(rows.tolist(), now_ms)

    async def write_all(self, now_ms: int, among: Sequence[int] | None = None) -> None:
        """Of all pumps, or of those in the rows `among`."""
        rows = np.flatnonzero(self._fleet.ledger.evaluated != self._fleet.checkpointed)
        if among is not None:
            rows = np.intersect1d(rows, among)
        for at in range(0, len(rows), CHECKPOINTS_AT_ONCE):
            await self._write(rows[at : at + CHECKPOINTS_AT_ONCE].tolist(), now_ms)

    async def _write(self, rows: Sequence[int], now_ms: int) -> None:
        if not rows:
            return
        fleet = self._fleet
        written_today = (fleet.checkpointed_ms[list(rows)] // DAY_MS == now_ms // DAY_MS).tolist()
        checkpoints = [
            checkpoint._replace(may_be_first_of_day=not already)
            for checkpoint, already in zip(checkpoints_of(fleet, rows), written_today, strict=True)
        ]
        await self._store.save_checkpoints(checkpoints, self._clock())
        fleet.checkpointed[list(rows)] = fleet.ledger.evaluated[list(rows)]
        fleet.checkpointed_ms[list(rows)] = now_ms
