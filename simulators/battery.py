"""What is left in a pump's battery? Charge used, voltage, and when the pump will ask to be replaced.

A hybrid cell (silver vanadium oxide and carbon monofluoride): slow fall, then a knee, and a resistance that grows
with use. Shape and numbers are general knowledge, without a source: they are nobody's battery.
"""

from typing import Final

import numpy as np

from simulators import draws
from simulators.draws import Floats, Integers
from simulators.sums import running

YEAR_S: Final = 365.25 * 86400
DAY_MS: Final = 86_400_000

FRESH_V: Final = 3.1
SLOPE_V: Final = 0.30  # from fresh to used up
KNEE_V: Final = 0.26  # likewise, but nearly all of it at the end
KNEE_POWER: Final = 8
SAG_V: Final = 0.04  # across the resistance of a used-up cell at 1 mL/d
NOISE_SD_V: Final = 0.003

LIFE_S: Final = 6.5 * YEAR_S  # at the usual current
BASE_CURRENT: Final = 0.7  # share of the usual current that flows whatever the rate
CURRENT_A_ML_D: Final = 0.6

REPLACE_SOON_V: Final = 2.6
LIFE_LIMIT_MS: Final = round(7 * YEAR_S * 1000)
LAST_DAYS_MS: Final = 90 * DAY_MS


class Battery:
    """The batteries of many pumps; `used` is 0 fresh, 1 used up."""

    def __init__(self, seed: int, numbers: Integers, used: Floats) -> None:
        self.used = used.copy()
        self._keys = draws.keys_of(seed, numbers, "battery noise")

    def advance(self, span_s: float, program_ml_d: Floats, drain: Floats) -> Floats:
        """The voltage at the end of each span without noise, [step, pump]."""
        taken = current(program_ml_d)
        taken *= drain
        taken *= span_s / LIFE_S
        used = running(self.used, taken)[1:]
        self.used = used[-1].copy()
        np.minimum(used, 1.2, out=used)
        return voltage(used, program_ml_d)

    def noise_v(self, steps: Integers) -> Floats:
        """[step, pump]. One pair of draws serves two steps."""
        pairs = np.unique(steps >> 1)
        both = np.stack(draws.normal_pair(self._keys, pairs), axis=1).reshape(-1, len(self._keys))
        first = int(steps[0] & 1)
        return NOISE_SD_V * both[first : first + len(steps)]


def current(program_ml_d: Floats) -> Floats:
    """Relative to the usual one."""
    return np.asarray(BASE_CURRENT + CURRENT_A_ML_D * program_ml_d)


def voltage(used: Floats, program_ml_d: Floats) -> Floats:
    knee = used * used
    knee *= knee
    fall = knee * program_ml_d
    fall *= SAG_V
    knee *= knee  # the power of eight
    knee *= KNEE_V
    fall += knee
    fall += SLOPE_V * used
    return np.asarray(FRESH_V - fall)


def used_after(passed_s: float, rate_ml_d: float) -> float:
    """How much of a battery is used at a steady rate."""
    return passed_s / LIFE_S * (BASE_CURRENT + CURRENT_A_ML_D * rate_ml_d)


def replaced_after_s(rate_ml_d: float) -> float:
    """How long after its implantation a pump asks to be replaced, at a steady rate of at most 2 mL/d."""
    by_age_s = (LIFE_LIMIT_MS - LAST_DAYS_MS) / 1000
    used = float(np.interp(rate_ml_d, _RATES_ML_D, _USED_WHEN_FLAT))
    return min(by_age_s, LIFE_S * used / (BASE_CURRENT + CURRENT_A_ML_D * rate_ml_d))


def _used_when_flat(rates_ml_d: Floats) -> Floats:
    low, high = np.zeros(len(rates_ml_d)), np.full(len(rates_ml_d), 2.0)
    for _ in range(40):
        middle = (low + high) / 2
        flat = voltage(middle, rates_ml_d) < REPLACE_SOON_V
        low, high = np.where(flat, low, middle), np.where(flat, middle, high)
    return low


_RATES_ML_D: Final = np.linspace(0.0, 2.0, 201)
_USED_WHEN_FLAT: Final = _used_when_flat(_RATES_ML_D)
