"""What do conditions share that an event begins, or an hour ends? One pump's beginning; the count of clear hours."""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Condition
from service.core.rules.step import Column
from service.core.state import LEVEL_OF, SINCE_OF, Columns, Field

LEAST_COVERED_MS: Final = 2_700_000.0  # three quarters of an hour: less is no evidence about that hour
DAY_MS: Final = 86_400_000.0

Pump = npt.NDArray[np.float64]
"""[field]"""


def begin(pump: Pump, condition: Condition, at_ms: float, level: float = 1.0) -> None:
    """The condition holds at `level` at least."""
    if pump[LEVEL_OF[condition]] == 0:
        pump[SINCE_OF[condition]] = at_ms
    pump[LEVEL_OF[condition]] = max(pump[LEVEL_OF[condition]], level)


def covered(state: Columns) -> npt.NDArray[np.bool_]:
    """Whether the hour that ends is known well enough to say that something was absent from it."""
    return np.asarray(state[Field.HOUR_ALL_MS] >= LEAST_COVERED_MS)


def ends_after(state: Columns, count: Field, clear: npt.NDArray[np.bool_], hours: Column) -> npt.NDArray[np.bool_]:
    """Count the hours in a row that are `clear`; say where they are enough, and begin anew there.

    An event that begins or renews a condition sets the count to -1: the hour that is under way then is no clear one.
    """
    counted = np.where(clear, state[count] + 1, 0.0)
    enough = counted >= hours
    state[count] = np.where(enough, 0.0, counted)
    return np.asarray(enough)
