"""What does a pump truly deliver, and what does it report? Physics of many pumps at once, without a clock.

The hidden truth (`true_ml`, `true_ul`) is never published. Constants without another source are assumptions made for
simulation: they are nobody's device.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from simulators import draws, wire
from simulators.draws import Floats

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

UL_A_SECOND_AT_ONE_ML_D: Final = 1 / 86.4
STEP_UL: Final = 1e-4
"""Volume of one motor step; small enough that one second at 0.1 mL/d is a dozen steps."""

# Calibration bias: N(1 %, 4 %) within the labelled ±14.5 % (mean: Coffey and Wesemann 2014; the deviation is assumed).
BIAS_MEAN: Final = 0.01
BIAS_SD: Final = 0.04
BIAS_LIMIT: Final = 0.145

# The flow sensor. White noise is that of a reading of one minute, and averages out over longer ones.
WHITE_SD: Final = 0.15  # of the program
WHITE_FLOOR_ML_D: Final = 0.02
WHITE_SPAN_S: Final = 60.0
DRIFT_SD: Final = 0.03  # of the program
DRIFT_TAU_S: Final = 6 * 3600.0

LEVEL_SD_ML: Final = 0.05
BATTERY_SD_V: Final = 0.003
BATTERY_LIFE_S: Final = 6.5 * 365.25 * 86400
ASPIRATION_SD_ML: Final = 0.3
ASPIRATION_LEFT_ML: Final = 0.2  # at most this much stays behind


class Nature(NamedTuple):
    """What each pump is and how it begins; one array an attribute, all of the same length."""

    number: Integers  # names the pump's random numbers
    sensor: Booleans  # flow and level sensors; else rotor steps and a computed reservoir
    bias: Floats
    reservoir_ml: Floats  # what the pump believes at the start; the truth differs by the bias
    true_ml: Floats
    battery_used: Floats  # 0 … 1


class Demand(NamedTuple):
    """What is asked of each pump over one span, and what is wrong with it: means over the span."""

    program_ml_d: Floats
    mode: Integers
    advance: Floats  # the share of motor steps that move the rotor; 1 is healthy
    output: Floats  # true volume a step, relative to the calibrated one; 1 is healthy


class Measured(NamedTuple):
    """What each pump reports at the end of one span, rounded to the wire's decimals."""

    mode: Integers
    program_ml_d: Floats
    flow_ml_d: Floats
    reservoir_ml: Floats
    battery_v: Floats
    delivered_ul: Floats  # of rotor pumps; NaN where the model has no counter


class Pumps:
    """The state of many pumps. Each `advance` is one reading of every pump."""

    def __init__(self, seed: int, nature: Nature) -> None:
        count = len(nature.number)
        self.nature = nature
        self.step = 0
        self.true_ml = nature.true_ml.copy()
        self.true_ul = np.zeros(count)  # delivered in truth since the start
        self.computed_ml = nature.reservoir_ml.copy()
        self._flow_keys = draws.keys_of(seed, nature.number, "flow")
        self._level_keys = draws.keys_of(seed, nature.number, "level")
        self._miss_keys = draws.keys_of(seed, nature.number, "missed steps")
        self._refill_keys = draws.keys_of(seed, nature.number, "refill")
        self._residue_steps = np.zeros(count)
        self._drift = DRIFT_SD * draws.normal_pair(draws.keys_of(seed, nature.number, "drift"), 0)[0]
        self._owed_ul = np.zeros(count)
        self._counted_ul = np.zeros(count)
        self._battery_used = nature.battery_used.copy()

    def advance(self, span_s: float, demand: Demand) -> Measured:
        """Let `span_s` seconds pass for every pump and return what each one then reports."""
        ul_a_ml_d = span_s * UL_A_SECOND_AT_ONE_ML_D
        asked_ul = demand.program_ml_d * ul_a_ml_d
        moved_ul = self._turn(asked_ul, demand.advance)
        delivered_ul = np.minimum(moved_ul * (1 + self.nature.bias) * demand.output, self.true_ml * 1000)
        self.true_ml -= delivered_ul / 1000
        self.true_ul += delivered_ul
        # Computed from the program, as real pumps do it: it keeps falling through a stall and cannot see a bias.
        self.computed_ml = np.maximum(self.computed_ml - asked_ul / 1000, 0.0)
        sensed_ul = self._sense(delivered_ul, demand.program_ml_d, span_s)
        counted_ul = np.where(self.nature.sensor, sensed_ul, moved_ul)
        self._counted_ul += counted_ul
        level_draw, battery_draw = draws.normal_pair(self._level_keys, self.step)
        level_ml = np.maximum(self.true_ml + LEVEL_SD_ML * level_draw, 0.0)
        self.step += 1
        return Measured(
            mode=demand.mode,
            program_ml_d=_rounded(demand.program_ml_d, wire.RATE_DECIMALS),
            flow_ml_d=_rounded(counted_ul / ul_a_ml_d, wire.RATE_DECIMALS),
            reservoir_ml=_rounded(np.where(self.nature.sensor, level_ml, self.computed_ml), wire.RESERVOIR_DECIMALS),
            battery_v=_rounded(self._voltage(span_s, demand.program_ml_d, battery_draw), wire.BATTERY_DECIMALS),
            delivered_ul=_rounded(np.where(self.nature.sensor, np.nan, self._counted_ul), wire.DELIVERED_DECIMALS),
        )

    def refill(self, pump: int, to_ml: float) -> tuple[float, float]:
        """Empty and fill one pump; return (aspirated_ml, expected_ml), what came out and what the pump had computed."""
        key = self._refill_keys[pump : pump + 1]
        error_ml = ASPIRATION_SD_ML * float(draws.normal_pair(key, self.step)[0][0])
        left_ml = ASPIRATION_LEFT_ML * float(draws.uniform(key, -1 - self.step)[0])
        aspirated_ml = max(float(self.true_ml[pump]) + error_ml - left_ml, 0.0)
        expected_ml = float(self.computed_ml[pump])
        self.true_ml[pump] = self.computed_ml[pump] = to_ml
        return round(aspirated_ml, wire.RESERVOIR_DECIMALS), round(expected_ml, wire.RESERVOIR_DECIMALS)

    def _turn(self, asked_ul: Floats, advance: Floats) -> Floats:
        """Turn the rotor by whole steps, some of which may be missed; return the nominal volume of the others."""
        wanted = self._residue_steps + asked_ul / STEP_UL
        steps = np.floor(wanted)
        self._residue_steps = wanted - steps
        if np.all(advance >= 1):
            return steps * STEP_UL
        chance = 1 - advance
        spread = np.sqrt(steps * chance * advance) * draws.normal_pair(self._miss_keys, self.step)[0]
        missed = np.clip(np.rint(steps * chance + spread), 0, steps)
        return np.asarray((steps - missed) * STEP_UL)

    def _sense(self, delivered_ul: Floats, program_ml_d: Floats, span_s: float) -> Floats:
        """What the flow sensor counts. Its counter never runs backwards: a reading below zero is taken from the next.

        At most one minute's noise is owed in that way, so that a pump that starts again is seen at once.
        """
        white_draw, drift_draw = draws.normal_pair(self._flow_keys, self.step)
        kept = math.exp(-span_s / DRIFT_TAU_S)
        self._drift = kept * self._drift + DRIFT_SD * math.sqrt(1 - kept * kept) * drift_draw
        white_ml_d = np.maximum(WHITE_SD * program_ml_d, WHITE_FLOOR_ML_D)
        noise_ml_d = white_draw * white_ml_d * math.sqrt(WHITE_SPAN_S / span_s) + self._drift * program_ml_d
        seen_ul = delivered_ul + noise_ml_d * span_s * UL_A_SECOND_AT_ONE_ML_D + self._owed_ul
        most_owed_ul = white_ml_d * WHITE_SPAN_S * UL_A_SECOND_AT_ONE_ML_D
        self._owed_ul = np.clip(seen_ul, -most_owed_ul, 0.0)
        return np.maximum(seen_ul, 0.0)

    def _voltage(self, span_s: float, program_ml_d: Floats, battery_draw: Floats) -> Floats:
        """A hybrid cell: slow fall, then a knee. Shape and numbers are general knowledge, without a source."""
        self._battery_used += span_s / BATTERY_LIFE_S * (0.7 + 0.6 * program_ml_d)
        used = np.minimum(self._battery_used, 1.2)
        return 3.1 - 0.3 * used - 0.3 * used**8 + BATTERY_SD_V * battery_draw


def calibration_bias(seed: int, numbers: Integers) -> Floats:
    """Draw each pump's bias. A draw beyond the labelled accuracy is drawn again: such a pump is not shipped."""
    keys = draws.keys_of(seed, numbers, "bias")
    bias = BIAS_MEAN + BIAS_SD * draws.normal_pair(keys, 0)[0]
    again = 1
    while np.any(refused := np.abs(bias) > BIAS_LIMIT):
        bias[refused] = BIAS_MEAN + BIAS_SD * draws.normal_pair(keys[refused], again)[0]
        again += 1
    return bias


def _rounded(values: Floats, decimals: int) -> Floats:
    return np.asarray(np.round(values, decimals), dtype=np.float64)
