"""What is one step of evaluation? Readings of one pump gathered until they cover about a minute of pump time."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.reading import Items
from service.core.state import Columns, Field

STEP_MS: Final = 50_000.0  # a pump that reports each minute, give or take its jitter, makes one step a reading
HOUR_MS: Final = 3_600_000.0
LONGEST_COVERED_MS: Final = HOUR_MS  # a mean over more than an hour says too little about when
UL_A_ML_D: Final = 86_400.0  # mL/d times ms, divided by this, is µL

Column = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of several pumps, a value each."""

    ended_ms: Column
    sums: Columns
    """[3, pump]: covered time, and programmed and measured volume over it."""

    @property
    def began_ms(self) -> Column:
        return np.asarray(self.ended_ms - self.sums[0])

    @property
    def covered_ms(self) -> Column:
        return np.asarray(self.sums[0])

    @property
    def program_ul(self) -> Column:
        return np.asarray(self.sums[1])

    @property
    def flow_ul(self) -> Column:
        return np.asarray(self.sums[2])

    def of(self, pumps: npt.NDArray[np.intp]) -> "Step":
        return Step(self.ended_ms[pumps], self.sums[:, pumps])


_STEP: Final = slice(Field.STEP_MS, Field.STEP_FLOW_UL + 1)
_HOUR: Final = slice(Field.HOUR_ALL_MS, Field.HOUR_ALL_FLOW_UL + 1)


def gather(state: Columns, readings: Items, contiguous: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Add one reading of each pump to its step under way; say which steps are complete.

    `contiguous`: no position is missing between this item and the pump's previous one. A reading's means cover the time
    since the previous reading, at most an hour; after a gap they are taken to cover the pump's usual spacing.
    """
    measured_ms = readings["measured_ms"].astype(np.float64)
    before_ms = state[Field.READING_MS]
    covered_ms = np.minimum(np.maximum(measured_ms - before_ms, 0.0), LONGEST_COVERED_MS)
    comparable = contiguous & (state[Field.CLOCK_SET] == 0) & (before_ms > 0)
    if not comparable.all():
        covered_ms *= before_ms > 0
        known_ms = np.where(comparable & (covered_ms > 0), covered_ms, state[Field.SPACING_MS])
        covered_ms = np.where(comparable, covered_ms, np.minimum(covered_ms, state[Field.SPACING_MS]))
        state[Field.SPACING_MS] = known_ms
    else:
        state[Field.SPACING_MS] = np.where(covered_ms > 0, covered_ms, state[Field.SPACING_MS])
    state[Field.READING_MS] = measured_ms
    state[Field.CLOCK_SET] = 0.0
    state[Field.RESERVOIR_ML] = readings["reservoir_ml"]
    state[Field.STEP_MS] += covered_ms
    covered_ms = covered_ms / UL_A_ML_D
    state[Field.STEP_PROGRAM_UL] += readings["program_ml_d"] * covered_ms
    state[Field.STEP_FLOW_UL] += readings["flow_ml_d"] * covered_ms
    return np.asarray(state[Field.STEP_MS] >= STEP_MS)


def on_clock_set(state: npt.NDArray[np.float64], _event: np.void, _limits: np.void) -> None:
    state[Field.CLOCK_SET] = 1.0


def close(state: Columns) -> Step:
    """Take the step out of the state of pumps whose step is complete."""
    step = Step(state[Field.READING_MS], state[_STEP].copy())
    state[_STEP] = 0.0
    return step


def hour_of(ended_ms: Column) -> Column:
    """The hour of pump time that a span ending at `ended_ms` belongs to: 13:00:00.000 still ends the twelfth."""
    return np.floor((ended_ms - 1.0) / HOUR_MS)


def in_new_hour(state: Columns, step: Step) -> npt.NDArray[np.bool_]:
    return np.asarray(hour_of(step.ended_ms) != state[Field.HOUR])


def add_to_hour(state: Columns, step: Step) -> None:
    state[_HOUR] += step.sums
    state[Field.HOUR_LEVEL_ML_MS] += state[Field.RESERVOIR_ML] * step.covered_ms


def begin_hour(state: Columns, step: Step, _limits: Items) -> None:
    """Once every rule has judged the hour that has ended before this step, the step's own begins."""
    state[_HOUR] = 0.0
    state[Field.HOUR_LEVEL_ML_MS] = 0.0
    state[Field.HOUR] = hour_of(step.ended_ms)
