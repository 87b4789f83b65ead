"""Which pumps are worked out again because something came out of order, and how far is that?

From the checkpoint before what came late. Meanwhile the pump is judged as before; once all is folded, its alerts become
those of in-order arrival, in one transaction. Where a stop interrupts it, the next start begins it again.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from service.core.fleet import Fleet
from service.core.in_force import Stand
from service.core.reading import seq_of
from service.core.relearn import HORIZON
from service.logs import tell
from service.loops.recount import PUMPS_AT_ONCE, Recount, advance
from service.loops.recover import last_measured
from service.ports import Checkpoint, IngestStore

BEGUN_AT_ONCE: Final = 50
ENDED_AT_ONCE: Final = 25
"""In one slice: each asks the store for a checkpoint, and each writes a transaction of its own."""


class Rebuilds:
    def __init__(self) -> None:
        self._late_from: dict[int, int] = {}  # by row, in the order in which they were asked for
        self._begun: dict[int, tuple[Checkpoint, Recount]] = {}

    def __bool__(self) -> bool:
        return bool(self._late_from)

    def ask(self, late_from: Mapping[int, int]) -> None:
        """Of these pumps, by row, something at a position, or some of what follows it, came late."""
        for row, position in late_from.items():
            self._late_from[row] = min(position, self._late_from.get(row, position))
            if row in self._begun and position <= self._begun[row][1].read_to:
                del self._begun[row]

    def forget(self, rows: Collection[int]) -> None:
        """Others begin these again."""
        for row in rows:
            self._late_from.pop(row, None)
            self._begun.pop(row, None)

    async def go_on(self, store: IngestStore, fleet: Fleet, now: datetime) -> None:
        """One slice more."""
        await self._begin(store, fleet, now)
        recounts = [recount for _, recount in list(self._begun.values())[:PUMPS_AT_ONCE]]
        ended = await advance(store, fleet, recounts, lambda row: fleet.ledger.account(row).may_evaluate)
        for recount in ended[:ENDED_AT_ONCE]:
            await self._end(store, fleet, recount, now)
        for recount in recounts:  # others that wait have their turn before these
            if recount.row in self._begun:
                self._begun[recount.row] = self._begun.pop(recount.row)

    async def _begin(self, store: IngestStore, fleet: Fleet, now: datetime) -> None:
        waiting = (row for row in self._late_from if row not in self._begun and row not in fleet.unlearned)
        room = min(BEGUN_AT_ONCE, PUMPS_AT_ONCE - len(self._begun))
        for row, _ in zip(list(waiting), range(room), strict=False):
            key = int(fleet.keys[row])
            start = await store.checkpoint_before(key, self._late_from[row], now - HORIZON)
            stand = Stand(start.state, start.position)
            self._begun[row] = start, Recount(row, stand, start.since, start.position)

    async def _end(self, store: IngestStore, fleet: Fleet, recount: Recount, now: datetime) -> None:
        row = recount.row
        start, _ = self._begun.pop(row)
        late_from = self._late_from.pop(row)
        state, evaluated = recount.stand
        key = int(fleet.keys[row])
        if evaluated == start.position:  # all of it lies behind a hole, or beyond what is kept
            await store.forget_rebuild([key])
            return
        through, newest_ms = int(fleet.ledger.through[row]), int(fleet.newest_ms[row])
        rebuilt = Checkpoint(key, evaluated, through, last_measured(state), state, newest_ms)
        await store.commit_rebuild(late_from, start, recount.turns, rebuilt, now)
        fleet.state[row] = state
        fleet.ledger.evaluated[row] = fleet.checkpointed[row] = evaluated
        fleet.hold(recount.turns)
        tell("pump_rebuilt", pump=fleet.pump_ids[row], late_seq=seq_of(late_from), turns=len(recount.turns))
