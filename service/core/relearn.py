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
from service.core.state import LEVEL_OF, SINCE_OF, fresh

HORIZON: Final = timedelta(days=7)
"""How far back readings may come late, and how much of a pump is folded again at most."""


class Seed(NamedTuple):
    """A condition that held."""

    condition: Condition
    step: int
    began_ms: float


def seeded(seeds: Iterable[Seed]) -> npt.NDArray[np.float64]:
    """The state [field] of a pump of which no more is known."""
    state: npt.NDArray[np.float64] = fresh(1)[0]
    for seed in seeds:
        state[LEVEL_OF[seed.condition]] = seed.step
        state[SINCE_OF[seed.condition]] = seed.began_ms
    return state


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
