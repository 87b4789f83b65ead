"""What is one step of evaluation? Readings of one pump gathered until they cover about a minute of pump time."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.reading import Items
from service.core.state import Columns, Field

STEP_MS: Final = 50_000.0  # a pump that reports each minute, give or take its jitter, makes one step a reading
LONGEST_COVERED_MS: Final = 3_600_000.0  # a mean over more than an hour says too little about when

Column = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of several pumps, a value each. Volumes are sums over the covered time."""

    began_ms: Column
    ended_ms: Column
    covered_ms: Column
    program_ul: Column
    flow_ul: Column

    def of(self, pumps: npt.NDArray[np.intp]) -> "Step":
        return Step(
            self.began_ms[pumps],
            self.ended_ms[pumps],
            self.covered_ms[pumps],
            self.program_ul[pumps],
            self.flow_ul[pumps],
        )


def gather(state: Columns, readings: Items, contiguous: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Add one reading of each pump to its step under way; say which steps are complete.

    `contiguous`: no position is missing between this item and the pump's previous one. A reading's means cover the time
    since the previous reading, at most an hour; after a gap they are taken to cover the pump's usual spacing.
    """
    measured_ms = readings["measured_ms"].astype(np.float64)
    heard = state[Field.READING_MS] > 0
    since_ms = np.clip(measured_ms - state[Field.READING_MS], 0.0, LONGEST_COVERED_MS) * heard
    comparable = contiguous & (state[Field.CLOCK_SET] == 0) & heard
    covered_ms = np.where(comparable, since_ms, np.minimum(since_ms, state[Field.SPACING_MS]))
    state[Field.SPACING_MS] = np.where(comparable & (since_ms > 0), since_ms, state[Field.SPACING_MS])
    state[Field.READING_MS] = measured_ms
    state[Field.CLOCK_SET] = 0.0
    state[Field.RESERVOIR_ML] = readings["reservoir_ml"]
    state[Field.STEP_MS] += covered_ms
    days_times_1000 = covered_ms / 86_400.0  # mL/d times ms / 86,400 is µL
    state[Field.STEP_PROGRAM_UL] += readings["program_ml_d"] * days_times_1000
    state[Field.STEP_FLOW_UL] += readings["flow_ml_d"] * days_times_1000
    return np.asarray(state[Field.STEP_MS] >= STEP_MS)


def on_clock_set(state: npt.NDArray[np.float64], _event: np.void, _limits: np.void) -> None:
    state[Field.CLOCK_SET] = 1.0


def close(state: Columns) -> Step:
    """Take the step out of the state of pumps whose step is complete."""
    ended_ms = state[Field.READING_MS].copy()
    covered_ms = state[Field.STEP_MS].copy()
    step = Step(
        began_ms=ended_ms - covered_ms,
        ended_ms=ended_ms,
        covered_ms=covered_ms,
        program_ul=state[Field.STEP_PROGRAM_UL].copy(),
        flow_ul=state[Field.STEP_FLOW_UL].copy(),
    )
    state[Field.STEP_MS] = state[Field.STEP_PROGRAM_UL] = state[Field.STEP_FLOW_UL] = 0.0
    return step
