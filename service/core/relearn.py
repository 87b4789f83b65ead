"""What is still known of a pump whose remembered state cannot be read? What is open of it, and what it measured lately.

A new version may remember other things of a pump. Its state is then worked out again from the readings of the lateness
horizon, beginning with what alerts say that held; those alerts stay open unless these readings contradict them.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from service.core.change import Change, Condition, Turn
from service.core.state import LEVEL_OF, SINCE_OF, Field, fresh

HORIZON: Final = timedelta(days=7)
"""How far back readings may come late, and how much of a pump is folded again at most."""


class Seed(NamedTuple):
    """A condition that held."""

    condition: Condition
    step: int
    began_ms: float
    said: bool = False  # by the pump itself


_SAID: Final = {
    Condition.STALL: Field.STALL_SAID,
    Condition.RESERVOIR_LOW: Field.RESERVOIR_LOW_SAID,
    Condition.RESERVOIR_EMPTY: Field.EMPTY_SAID,
    Condition.BATTERY_LOW: Field.BATTERY_LOW_SAID,
    Condition.BATTERY_END: Field.BATTERY_END_SAID,
    Condition.MEMORY_ERROR: Field.MEMORY_SAID,
}


def seeded(seeds: Iterable[Seed]) -> npt.NDArray[np.float64]:
    """The state [field] of a pump of which no more is known."""
    state: npt.NDArray[np.float64] = fresh(1)[0]
    for seed in seeds:
        _hold(state, seed)
    return state


def keep_open(state: npt.NDArray[np.float64], seeds: Iterable[Seed], turns: Iterable[Change]) -> None:
    """Let what is open now hold, unless `turns`, the pump's, say that it ended: or its rule could never end it."""
    ended_ms = {turn.condition: turn.at_ms for turn in turns if turn.turn is Turn.ENDED}
    for seed in seeds:
        if state[LEVEL_OF[seed.condition]] == 0 and ended_ms.get(seed.condition, -1) < seed.began_ms:
            _hold(state, seed)


def _hold(state: npt.NDArray[np.float64], seed: Seed) -> None:
    state[LEVEL_OF[seed.condition]] = seed.step
    state[SINCE_OF[seed.condition]] = seed.began_ms
    state[Field.UNSETTLED] = 1.0  # the next step shows what follows
    if seed.said and seed.condition in _SAID:
        state[_SAID[seed.condition]] = 1.0
    if seed.condition is Condition.BATTERY_LOW:
        state[Field.BATTERY_LOW_MS] = seed.began_ms


def last_words(turns: Sequence[Change]) -> list[Change]:
    """What of these turns says how things stand at their end: of what is over and done nobody needs to hear again."""
    last: dict[tuple[int, Condition], list[Change]] = {}
    for turn in turns:
        key = turn.pump, turn.condition
        if turn.turn is Turn.ROSE:
            last.setdefault(key, []).append(turn)
        else:
            last[key] = [turn]
    return [turn for told in last.values() for turn in told]
