"""How does a pump go on whose remembered state cannot be read? From what it measured within the lateness horizon.

In slices, beside what is live: a pump that is yet to be relearned is stored and receipted like all others, and judged
once its state is known again. Where a stop interrupts it, the next start goes on with the rest.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from service.core.fleet import Fleet
from service.core.in_force import Stand
from service.core.relearn import HORIZON, keep_open, last_words, seeded
from service.logs import tell
from service.loops.recount import PUMPS_AT_ONCE, Recount, advance
from service.loops.recover import checkpoints_of
from service.ports import IngestStore

TOLD_EVERY: Final = 1_000


class Relearning:
    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._begun: dict[int, Recount] = {}
        self._done = self._told = 0

    def __bool__(self) -> bool:
        return bool(self._waiting or self._begun)

    def ask(self, fleet: Fleet, rows: Iterable[int]) -> None:
        """These are not judged until their states are worked out, as far as they were evaluated before."""
        self._waiting += rows
        fleet.unlearned |= set(self._waiting)

    def forget(self, rows: Collection[int]) -> None:
        """Others go on with these."""
        self._waiting = [row for row in self._waiting if row not in rows]
        for row in rows:
            self._begun.pop(row, None)

    async def go_on(self, store: IngestStore, fleet: Fleet, now: datetime) -> list[int]:
        """One slice more. Return the rows of the pumps that are judged again."""
        await self._begin(store, fleet, now)
        recounts = list(self._begun.values())
        ended = await advance(store, fleet, recounts, lambda row: int(fleet.ledger.evaluated[row]))
        await self._end(store, fleet, ended, now)
        return [recount.row for recount in ended]

    async def _begin(self, store: IngestStore, fleet: Fleet, now: datetime) -> None:
        room = PUMPS_AT_ONCE - len(self._begun)
        some, self._waiting = self._waiting[:room], self._waiting[room:]
        since = now - HORIZON
        seeds = await store.seeds([int(fleet.keys[row]) for row in some], since) if some else {}
        for row in some:
            stand = Stand(seeded(seeds.get(int(fleet.keys[row]), ())), -1)
            self._begun[row] = Recount(row, stand, since, -1, since)

    async def _end(self, store: IngestStore, fleet: Fleet, ended: list[Recount], now: datetime) -> None:
        if not ended:
            return
        by_key = {int(fleet.keys[recount.row]): recount for recount in ended}
        told = last_words([turn for recount in ended for turn in recount.turns])
        if told:
            await store.commit_fold(told, {}, now)
        for recount in ended:
            fleet.state[recount.row] = recount.stand.state
        for key, is_open in (await store.seeds(list(by_key), now)).items():
            keep_open(fleet.state[by_key[key].row], is_open, by_key[key].turns)
        rows = [recount.row for recount in ended]
        await store.save_checkpoints(checkpoints_of(fleet, rows), now)
        fleet.unlearned.difference_update(rows)
        fleet.hold(told)
        for row in rows:
            del self._begun[row]
        self._done += len(rows)
        if self._done - self._told >= TOLD_EVERY or not self:
            self._told = self._done
            tell("pumps_relearned", done=self._done, waiting=len(self._waiting) + len(self._begun))
