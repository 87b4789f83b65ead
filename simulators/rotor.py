"""What do the rotors do? Whole motor steps, some of which may be missed."""

from typing import Final

import numpy as np

from simulators import draws
from simulators.draws import Floats, Integers
from simulators.sums import running

STEP_UL: Final = 1e-4
"""Volume of one motor step; small enough that one second at 0.1 mL/d is a dozen steps."""


class Rotors:
    def __init__(self, seed: int, numbers: Integers) -> None:
        self._miss_keys = draws.keys_of(seed, numbers, "missed steps")
        self._wanted_steps = np.zeros(len(numbers))  # all that were ever asked for; the motor makes whole ones

    def turn(self, asked_ul: Floats, advance: Floats, steps: Integers) -> Floats:
        """Return the nominal volume of the steps made in each span, [step, pump], µL; `steps` numbers the spans."""
        wanted = running(self._wanted_steps, asked_ul / STEP_UL)
        self._wanted_steps = wanted[-1].copy()
        np.floor(wanted, out=wanted)
        turned = wanted[1:] - wanted[:-1]
        missing = np.flatnonzero(advance.min(axis=0) < 1)
        if missing.size:
            made, share = turned[:, missing], advance[:, missing]
            spread = np.sqrt(made * (1 - share) * share) * draws.normal_pair(self._miss_keys[missing], steps)[0]
            turned[:, missing] -= np.clip(np.rint(made * (1 - share) + spread), 0, made)
        turned *= STEP_UL
        return turned
