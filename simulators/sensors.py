"""What do the flow sensor and the level sensor say, of those pumps that have them? Truth and noise."""

import math
from typing import Final

import numpy as np

from simulators import draws
from simulators.draws import Floats, Integers

UL_A_SECOND_AT_ONE_ML_D: Final = 1 / 86.4

# The flow sensor. White noise is that of a reading of one minute, and averages out over longer ones.
WHITE_SD: Final = 0.15  # of the program
WHITE_FLOOR_ML_D: Final = 0.02
WHITE_SPAN_S: Final = 60.0
DRIFT_SD: Final = 0.03  # of the program
DRIFT_TAU_S: Final = 6 * 3600.0

# The level sensor: white noise of each reading, and what temperature and posture do to the propellant.
LEVEL_SD_ML: Final = 0.05
LEVEL_DRIFT_SD_ML: Final = 0.05
LEVEL_TAU_S: Final = 12 * 3600.0


class Sensors:
    """The state of the sensors of the pumps with these numbers."""

    def __init__(self, seed: int, numbers: Integers, drift_tau_s: float = DRIFT_TAU_S) -> None:
        self._drift_tau_s = drift_tau_s
        self._flow_keys = draws.keys_of(seed, numbers, "flow")
        self._level_keys = draws.keys_of(seed, numbers, "level")
        self._drift, self._level_drift = draws.normal_pair(draws.keys_of(seed, numbers, "drift"), 0)
        self._owed_ul = np.zeros(len(numbers))

    def flow_ul(self, delivered_ul: Floats, program_ml_d: Floats, span_s: float, steps: Integers) -> Floats:
        """What the flow sensor counts in each span, [step, pump]; `steps` numbers the spans."""
        white_draw, drift_draw = draws.normal_pair(self._flow_keys, steps)
        drift = _correlated(self._drift, drift_draw, span_s / self._drift_tau_s)
        white_ml_d = np.maximum(WHITE_SD * program_ml_d, WHITE_FLOOR_ML_D)
        ul_a_ml_d = span_s * UL_A_SECOND_AT_ONE_ML_D
        drift *= DRIFT_SD * ul_a_ml_d
        drift *= program_ml_d
        white_draw *= white_ml_d
        white_draw *= math.sqrt(WHITE_SPAN_S / span_s) * ul_a_ml_d
        seen_ul = delivered_ul + white_draw
        seen_ul += drift
        below = np.flatnonzero((seen_ul.min(axis=0) < 0) | (self._owed_ul < 0))
        if below.size:
            most_owed_ul = white_ml_d[:, below] * (WHITE_SPAN_S * UL_A_SECOND_AT_ONE_ML_D)
            seen_ul[:, below] = self._owing(below, seen_ul[:, below], most_owed_ul)
        return seen_ul

    def level_ml(self, true_ml: Floats, span_s: float, steps: Integers) -> Floats:
        white_draw, drift_draw = draws.normal_pair(self._level_keys, steps)
        drift = _correlated(self._level_drift, drift_draw, span_s / LEVEL_TAU_S)
        white_draw *= LEVEL_SD_ML
        drift *= LEVEL_DRIFT_SD_ML
        drift += white_draw
        drift += true_ml
        return np.maximum(drift, 0.0)

    def _owing(self, pumps: Integers, seen_ul: Floats, most_owed_ul: Floats) -> Floats:
        """The counter never runs backwards: what a reading is below zero is taken from the next.

        At most one minute's noise is owed in that way, so that a pump that starts again is seen at once.
        """
        owed_ul = self._owed_ul[pumps]
        for step, most_ul in enumerate(most_owed_ul):
            seen_ul[step] += owed_ul
            owed_ul = np.clip(seen_ul[step], -most_ul, 0.0)
            np.maximum(seen_ul[step], 0.0, out=seen_ul[step])
        self._owed_ul[pumps] = owed_ul
        return seen_ul


def _correlated(last: Floats, drawn: Floats, span_tau: float) -> Floats:
    """First-order autoregression with variance one, [step, pump], in the place of what was drawn.

    It goes on from `last`, which is brought up to date.
    """
    kept = math.exp(-span_tau)
    drawn *= math.sqrt(1 - kept * kept)
    drawn[0] += kept * last
    for step in range(1, len(drawn)):
        drawn[step] += kept * drawn[step - 1]
    last[:] = drawn[-1]
    return drawn
