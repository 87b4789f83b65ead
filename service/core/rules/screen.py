"""Which steps does a rule have to look at? Those that say something, and those of pumps with something under way.

A healthy pump's step is near the program and needs no rule: only its sums. A rule that is decided by step must look
wherever `says_something` does, and nowhere else can its state change. What it has under way between steps it names in
UNDER_WAY.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.reading import Items
from service.core.rules import flutter, gross, program, refill, reservoir, stall, stopped
from service.core.rules.step import UL_A_ML_D, Step, in_new_hour
from service.core.state import Columns, Field

_UNDER_WAY: Final = np.array(
    [
        *stall.UNDER_WAY,
        *flutter.UNDER_WAY,
        *gross.UNDER_WAY,
        *stopped.UNDER_WAY,
        *reservoir.UNDER_WAY,
        *refill.UNDER_WAY,
        *program.UNDER_WAY,
    ]
)


def says_something(state: Columns, step: Step, limits: Items, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Far from the program, nothing programmed, nearly empty, something under way, or the first of a new hour.

    `limits` is of all pumps; `rows` says which are in `state`.
    """
    covered_ms, program_ul, flow_ul = step.sums
    off_ul = flow_ul - program_ul
    floor_ul = covered_ms / UL_A_ML_D
    over_ul = np.maximum(program_ul, limits["over_delivery_gross_floor_ml_d"][rows] * floor_ul)
    under_ul = np.maximum(program_ul, limits["under_delivery_gross_floor_ml_d"][rows] * floor_ul)
    said = in_new_hour(state, step)
    said |= state[Field.UNSETTLED] > 0
    said |= program_ul <= 0
    said |= flow_ul < limits["stall_below_fraction"][rows] * program_ul
    said |= off_ul > limits["over_delivery_gross_reference"][rows] * over_ul
    said |= -off_ul > limits["under_delivery_gross_reference"][rows] * under_ul
    said |= state[Field.RESERVOIR_ML] <= limits["reservoir_empty_volume_ml"][rows]
    return said


def settle(state: Columns, _step: Step, _limits: Items) -> None:
    """After the rules: note who has something under way."""
    state[Field.UNSETTLED] = (state[_UNDER_WAY] != 0).any(axis=0)
