"""What is due now? Deadlines of many connections and pumps, kept so that nobody has to look through all of them."""

from typing import Final, Generic, TypeVar

TICK_S: Final = 0.05

Item = TypeVar("Item")


class Wheel(Generic[Item]):
    """Deadlines in slots of TICK_S. An item is returned up to one tick late, and never early."""

    def __init__(self, now_s: float) -> None:
        self._slots: dict[int, list[tuple[float, Item]]] = {}
        self._next = int(now_s / TICK_S)

    def at(self, due_s: float, item: Item) -> None:
        """Keep `item` until `due_s`. It cannot be taken back: who asks must see whether a deadline still stands."""
        slot = max(int(due_s / TICK_S) + 1, self._next)
        self._slots.setdefault(slot, []).append((due_s, item))

    def due(self, now_s: float) -> list[tuple[float, Item]]:
        """Return what is due, each with its deadline, and forget it."""
        last = int(now_s / TICK_S)
        found: list[tuple[float, Item]] = []
        if last - self._next > len(self._slots):
            passed = sorted(slot for slot in self._slots if slot <= last)
        else:
            passed = [slot for slot in range(self._next, last + 1) if slot in self._slots]
        for slot in passed:
            found += self._slots.pop(slot)
        self._next = max(self._next, last + 1)
        return found
