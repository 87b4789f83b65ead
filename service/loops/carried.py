"""Which pumps are behind, stored further than they are evaluated, and what comes next of each?

A long message is stored and settled with the batch in which it came; its evaluation takes several turns, so that no
other pump waits. A little of that is kept in memory; the rest is read back from the store when its turn comes.
"""

from collections import deque
from collections.abc import Collection
from typing import Final

import numpy as np

from service.core.fleet import Fleet
from service.core.pipeline import ROUNDS_A_BATCH, Decisions, starts_of
from service.core.reading import ITEM, Items, boot_of
from service.loops.recover import last_measured
from service.ports import IngestStore

MOST_IN_MEMORY: Final = 200_000
MOST_OF_A_PUMP: Final = 8_192
"""Items that are kept in memory, of all pumps and of each."""

READ_AT_ONCE: Final = 30_000
READ_OF_A_PUMP: Final = 2_000
EVALUATED_AT_ONCE: Final = 30_000
"""Items of all pumps that are behind, in one turn: live ones come on top."""


class Carried:
    def __init__(self) -> None:
        self._queues: dict[int, deque[Items]] = {}  # by row, in the order in which it is their turn
        self._in_store: dict[int, None] = {}  # rows of which more is stored than is in their queue
        self._items = 0

    def __bool__(self) -> bool:
        return bool(self._queues or self._in_store)

    def keep(self, fleet: Fleet, decisions: Decisions) -> None:
        """Once these are in force: remember what they left, and which pumps are behind no longer."""
        left = decisions.left
        starts = starts_of(left["pump"])
        for first, last in zip(starts.tolist(), [*starts[1:].tolist(), len(left)], strict=False):
            self._put(fleet.row_of_key[int(left["pump"][first])], left[first:last])
        self.from_store(fleet, decisions.admission.from_store)
        rows = decisions.folded.rows
        fleet.behind[rows] = [row in self._queues or row in self._in_store for row in rows.tolist()] if self else False

    def forget(self, rows: Collection[int]) -> None:
        """Others go on with these."""
        for row in rows:
            self._in_store.pop(row, None)
            self._items -= _size(self._queues.pop(row, deque()))

    def from_store(self, fleet: Fleet, rows: list[int]) -> None:
        """These are behind by what the store holds of them, which may come before what is in their queues."""
        self._in_store |= dict.fromkeys(rows)
        for row in rows:
            self._items -= _size(self._queues.pop(row, deque()))
        fleet.behind[rows] = True

    async def next(self, store: IngestStore, fleet: Fleet) -> Items:
        """Take what is to be evaluated now of the pumps that are behind, sorted by the database's key and position."""
        await self._read_on(store, fleet)
        parts: list[Items] = []
        taken = 0
        for row in list(self._queues):
            if taken >= EVALUATED_AT_ONCE:
                break
            queue = self._queues.pop(row)
            self._items -= _size(queue)
            part = _first(queue, int(fleet.ledger.evaluated[row]))
            self._items += _size(queue)
            if queue:
                self._queues[row] = queue  # its next turn comes after all others'
            elif not len(part):
                fleet.behind[row] = row in self._in_store
            parts.append(part)
            taken += len(part)
        return np.concatenate(parts) if parts else np.zeros(0, ITEM)

    def _put(self, row: int, items: Items) -> None:
        queue = self._queues.get(row, deque())
        room = min(MOST_IN_MEMORY - self._items, MOST_OF_A_PUMP - _size(queue))
        if row in self._in_store or len(items) > room:
            self._in_store[row] = None
            return
        queue.append(items.copy())
        self._queues[row] = queue
        self._items += len(items)

    async def _read_on(self, store: IngestStore, fleet: Fleet) -> None:
        """Fill the queues of pumps that have none, while there is room."""
        rows, expected = [], 0
        for row in self._in_store:
            if expected >= READ_AT_ONCE:
                break
            if row not in self._queues and row not in fleet.unlearned:
                rows.append(row)
                expected += _expected(fleet, row)
        if not rows:
            return
        ledger = fleet.ledger
        items, to_be_continued = await store.items_next(
            [int(fleet.keys[row]) for row in rows],
            [int(ledger.evaluated[row]) for row in rows],
            [last_measured(fleet.state[row]) for row in rows],
            READ_OF_A_PUMP,
        )
        ends = np.searchsorted(items["pump"], fleet.keys[rows], side="right")
        firsts = np.searchsorted(items["pump"], fleet.keys[rows], side="left")
        for row, first, last in zip(rows, firsts.tolist(), ends.tolist(), strict=True):
            read = items[first:last]
            own = read[read["position"] <= ledger.account(row).may_evaluate]
            if int(fleet.keys[row]) not in to_be_continued or len(own) < len(read):
                del self._in_store[row]
                fleet.behind[row] = bool(len(own))
            if len(own):
                self._queues[row] = deque([own])
                self._items += len(own)


def _size(queue: deque[Items]) -> int:
    return sum(map(len, queue))


def _first(queue: deque[Items], evaluated: int) -> Items:
    """Take a round's worth off the queue, without what a rebuild has evaluated meanwhile."""
    parts: list[Items] = []
    taken = 0
    while queue and taken < ROUNDS_A_BATCH:
        items = queue.popleft()
        items = items[np.searchsorted(items["position"], evaluated, side="right") :]
        fits = items[: ROUNDS_A_BATCH - taken]
        parts.append(fits)
        taken += len(fits)
        if len(fits) < len(items):
            queue.appendleft(items[len(fits) :])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _expected(fleet: Fleet, row: int) -> int:
    account = fleet.ledger.account(row)
    until = account.may_evaluate
    same_boot = boot_of(until) == boot_of(account.evaluated)
    return min(READ_OF_A_PUMP, until - account.evaluated) if same_boot else READ_OF_A_PUMP
