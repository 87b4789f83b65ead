"""What would have been decided outside the fold, as a stream is read that brings many readings in one message?

A stream is in the order in which messages came. One that stands for many (`spread_ms`) says more of the past than the
ones before it, so what a moment brought is known only once no message can reach back to it: the *horizon*.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Change
from service.core.reading import Items
from service.core.rulebook import PumpFacts, Rulebook
from service.core.watch import Watch

TICK_MS: Final = 30_000
"""While something is due, everything is looked at this often: a site is judged by its pumps together."""

Said = Callable[[Watch], None]


def received_one_by_one(items: Items, spread_ms: npt.NDArray[np.int64]) -> None:
    """Let the readings of a message that stands for many have come one by one, in place.

    `items` as decoded; `spread_ms` has a value a message: how long before it the first of its readings came.
    """
    of_item = spread_ms[items["message"]]
    if not of_item.any():
        return
    last_ms = np.zeros(len(spread_ms), np.int64)
    np.maximum.at(last_ms, items["message"], items["device_ms"])
    before_ms = np.minimum(last_ms[items["message"]] - items["device_ms"], of_item)
    items["received_ms"] -= before_ms


class StreamWatch:
    """`Watch` over a stream. What `heard` and `said` are given may lie ahead of the horizon; it waits for its time."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._watch = Watch(rulebook)
        self._keys = np.zeros(0, np.int64)
        self._at_ms = np.zeros(0, np.int64)
        self._positions = np.zeros(0, np.int64)
        self._said: list[tuple[int, Said]] = []
        self._looked_ms: int | None = None

    def enter(
        self, pumps: Iterable[tuple[int, PumpFacts]], now_ms: int, pump_ids: Mapping[int, str] | None = None
    ) -> None:
        self._watch.enter(pumps, now_ms, pump_ids)

    def heard(self, items: Items) -> None:
        """What came, with the number that turns name a pump by in `pump`."""
        self._keys = np.r_[self._keys, items["pump"]]
        self._at_ms = np.r_[self._at_ms, items["received_ms"]]
        self._positions = np.r_[self._positions, items["position"]]

    def said(self, at_ms: int, what: Said) -> None:
        """Something else became known at `at_ms`."""
        self._said.append((at_ms, what))

    def until(self, horizon_ms: int) -> list[Change]:
        """Every turn that was due by the horizon, in order."""
        now = self._at_ms <= horizon_ms
        order = np.flatnonzero(now)[np.argsort(self._at_ms[now], kind="stable")]
        keys, at_ms, positions = self._keys[order], self._at_ms[order], self._positions[order]
        self._keys, self._at_ms, self._positions = self._keys[~now], self._at_ms[~now], self._positions[~now]
        said = sorted((each for each in self._said if each[0] <= horizon_ms), key=lambda each: each[0])
        self._said = [each for each in self._said if each[0] > horizon_ms]
        turns: list[Change] = []
        done = 0
        for until_ms in self._looks(keys, at_ms, said, horizon_ms):
            while said and said[0][0] <= until_ms:
                said.pop(0)[1](self._watch)
            after = int(np.searchsorted(at_ms, until_ms, side="right"))
            self._hear(keys[done:after], at_ms[done:after], positions[done:after])
            done = after
            turns += self._watch.watch_until(until_ms)
        self._looked_ms = horizon_ms
        return turns

    def _looks(
        self, keys: npt.NDArray[np.int64], at_ms: npt.NDArray[np.int64], said: list[tuple[int, Said]], horizon_ms: int
    ) -> Iterable[int]:
        """When to look: once, where every pump was heard in time throughout; else again and again."""
        if not said and not self._watch.has_news(keys, at_ms, horizon_ms):
            return (horizon_ms,)
        begin_ms = horizon_ms if self._looked_ms is None else self._looked_ms
        begin_ms = min([begin_ms, *at_ms[:1].tolist(), *(each[0] for each in said[:1])])
        return (*range(begin_ms, horizon_ms, TICK_MS), horizon_ms)

    def _hear(
        self, keys: npt.NDArray[np.int64], at_ms: npt.NDArray[np.int64], positions: npt.NDArray[np.int64]
    ) -> None:
        """Only the last of each pump matters; the rest was between."""
        _, last = np.unique(keys[::-1], return_index=True)
        last = len(keys) - 1 - last
        if len(last):
            self._watch.heard(keys[last].tolist(), at_ms[last], positions[last])
