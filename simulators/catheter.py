"""How much of the drug has reached the patient? Catheters with their dead volume, and what is lost on the way."""

import numpy as np

from simulators.draws import Floats
from simulators.sums import running


class Catheters:
    """Drug moves through the dead volume as a piston; what leaks behind the pump never enters it."""

    def __init__(self, dead_ul: Floats) -> None:
        self.dead_ul = dead_ul
        self._entered_ul = np.zeros(len(dead_ul))  # since the drug last changed
        self._reached_before_ul = np.zeros(len(dead_ul))

    @property
    def reached_ul(self) -> Floats:
        """What has come out of the tip since the start, [pump], of the drugs that the pumps have held since then."""
        return np.asarray(self._reached_before_ul + np.maximum(self._entered_ul - self.dead_ul, 0.0))

    def carry(self, delivered_ul: Floats, leak: Floats) -> None:
        self._entered_ul = running(self._entered_ul, delivered_ul * (1 - leak))[-1]

    def change_drug(self, pump: int) -> None:
        """The reservoir now holds another drug: what is still on its way to the tip is not that."""
        self._reached_before_ul[pump] = self.reached_ul[pump]
        self._entered_ul[pump] = 0.0
