"""What is in the reservoirs, in truth and as the pumps compute it? Delivery, emptiness, refills."""

from typing import Final

import numpy as np

from simulators import draws, wire
from simulators.draws import Floats, Integers
from simulators.sums import running

ASPIRATION_SD_ML: Final = 0.3
ASPIRATION_LEFT_ML: Final = 0.2  # at most this much stays behind


class Reservoirs:
    """`true_ml` is hidden; `computed_ml` is what a pump without a level sensor knows.

    A propellant drives them: they give what the rotor takes, or what an open pump lets through, until they are empty.
    """

    def __init__(self, seed: int, numbers: Integers, true_ml: Floats, computed_ml: Floats) -> None:
        self.true_ml = true_ml.copy()
        self.computed_ml = computed_ml.copy()
        self._refill_keys = draws.keys_of(seed, numbers, "refill")

    def give(self, wanted_ul: Floats) -> tuple[Floats, Floats]:
        """Return what leaves in each span, µL, and what is left at its end, mL; an empty pump turns dry."""
        levels_ml = np.maximum(running(self.true_ml, wanted_ul * -1e-3), 0.0)
        self.true_ml = levels_ml[-1].copy()
        return np.minimum(wanted_ul, levels_ml[:-1] * 1e3), levels_ml[1:]

    def compute(self, asked_ul: Floats) -> Floats:
        """From the program, as real pumps do it: it keeps falling through a stall and cannot see a bias. mL."""
        computed_ml = np.maximum(running(self.computed_ml, asked_ul * -1e-3)[1:], 0.0)
        self.computed_ml = computed_ml[-1].copy()
        return computed_ml

    def refill(self, pump: int, to_ml: float, missed_share: float, step: int) -> tuple[float, float]:
        """Empty and fill one pump; return (aspirated_ml, expected_ml), what came out and what the pump had computed."""
        key = self._refill_keys[pump : pump + 1]
        true_ml = float(self.true_ml[pump])
        error_ml = ASPIRATION_SD_ML * float(draws.normal_pair(key, step)[0][0])
        left_ml = min(ASPIRATION_LEFT_ML * float(draws.uniform(key, -1 - step)[0]), true_ml)
        aspirated_ml = max(true_ml + error_ml - left_ml, 0.0)
        expected_ml = float(self.computed_ml[pump])
        self.true_ml[pump] = left_ml + (to_ml - left_ml) * (1 - missed_share)
        self.computed_ml[pump] = to_ml
        return round(aspirated_ml, wire.RESERVOIR_DECIMALS), round(expected_ml, wire.RESERVOIR_DECIMALS)
