"""Delivery: the flow differs from the program for hours, judged by a capped CUSUM (rules/cusum.py).

    x = (measured − programmed) / max(programmed, floor_ml_d)           of each whole hour of pump time
    C ← min(2 · g · decision, max(0, C + share · min(±x − reference, g · cap)))        begins when C ≥ g · decision
    g = max(1, (σ / usual_sd)²)

The reference lies between the edge of the tolerance (14.5 %) and the reject level (30 %), so a healthy bias never
accumulates (Page 1954; docs/rules.md). The cap makes two hours at least decide. σ is how far the pump's own hours lie
about their middle while they are within the reference, each counted at most as three times what is known: where that is
more than usual, the limits grow as the rate of false alerts demands. An hour counts by its covered share, and not at
all below three quarters. Steps that the stall accounts for are left to it. Cannot see: a rotor counts steps, so it
shows missed steps (under-delivery) but neither bias nor over-delivery. It counts every one of them, so its reference is
lower and it has no cap: one hour decides.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Condition
from service.core.reading import Items, Mode
from service.core.rules import cusum
from service.core.rules.step import HOUR_MS, UL_A_ML_D, Column, Step
from service.core.state import Columns, Field

LEAST_COVERED_MS: Final = 2_700_000.0  # three quarters of an hour: less is no evidence about that hour
LEAST_PROGRAM_UL: Final = 0.1
LEAST_STALLED_UL: Final = 0.05  # behind by less than this, a step may be the sensor's noise and is no stall
_RATE_WEIGHT: Final = 1 / 24  # the rate follows the program over about a day
_RUNNING: Final = float(Mode.RUNNING)  # comparing with the member itself takes NumPy five times as long
_NOISE_WEIGHT: Final = 1 / 168  # what is known of a pump's noise follows its hours over about a week
_NOISE_CAP: Final = 3.0
_SD_OF_MEAN_ABSOLUTE: Final = 1.2533  # √(π / 2), for normal noise
_HOUR_ALL: Final = slice(Field.HOUR_ALL_MS, Field.HOUR_ALL_FLOW_UL + 1)
_HOUR_LEFT: Final = slice(Field.HOUR_LEFT_MS, Field.HOUR_LEFT_FLOW_UL + 1)

_OVER_DELIVERY: Final = (Field.OVER_DELIVERY_LEVEL, Field.OVER_DELIVERY_SUM, Field.OVER_DELIVERY_CLEAR_HOURS)

STATISTICS: Final = {
    condition: {"cusum": total, "deviation": Field.DEVIATION, "sd": Field.DEVIATION_SD}
    for condition, total in (
        (Condition.OVER_DELIVERY, Field.OVER_DELIVERY_SUM),
        (Condition.UNDER_DELIVERY, Field.UNDER_DELIVERY_SUM),
    )
}


def leave_out(state: Columns, step: Step, limits: Items) -> None:
    """What the stall accounts for, and what nothing is programmed for, is no evidence about the deviation."""
    stalled = step.flow_ul < limits["stall_below_fraction"] * step.program_ul
    stalled &= (state[Field.STALL_UL] >= LEAST_STALLED_UL) | (state[Field.STALL_LEVEL] > 0)
    out = stalled | (step.program_ul <= 0)
    if out.any():
        state[_HOUR_LEFT] += out * step.sums


def close_hour(state: Columns, step: Step, limits: Items) -> None:
    """Judge the hour that has ended before this step."""
    covered_ms, program_ul, flow_ul = state[_HOUR_ALL] - state[_HOUR_LEFT]
    floor_ul = covered_ms / UL_A_ML_D
    evident = (covered_ms >= LEAST_COVERED_MS) & (program_ul >= LEAST_PROGRAM_UL)
    share = np.minimum(covered_ms / HOUR_MS, 1.0)
    off_ul = flow_ul - program_ul
    measured = limits["flow_sensor"] > 0
    for field in _OVER_DELIVERY:  # by the registry, a pump may measure its flow no longer
        state[field] = np.where(measured, state[field], 0.0)
    for side, sign, seen in (
        ("over_delivery", 1.0, evident & measured),
        ("under_delivery", -1.0, evident),
    ):
        scale_ul = np.maximum(program_ul, limits[f"{side}_floor_ml_d"] * floor_ul)
        deviation = off_ul / np.where(evident, scale_ul, 1.0)
        _advance(state, side, sign * deviation, seen, share, limits)
    state[Field.DEVIATION] = np.where(evident, deviation, state[Field.DEVIATION])
    _learn(state, deviation, evident & (np.abs(deviation) < limits["under_delivery_reference"]), limits)
    state[_HOUR_LEFT] = 0.0
    _follow_rate(state, step)


def _advance(
    state: Columns,
    side: str,
    excess: Column,
    seen: npt.NDArray[np.bool_],
    share: Column,
    limits: Items,
) -> None:
    """One side's hour, for the pumps where it can be `seen`; the others keep what they have."""
    level, since_ms, total, clear_hours = _SIDES[side]
    grown = np.maximum(state[Field.DEVIATION_SD] / limits[f"{side}_usual_sd"], 1.0) ** 2
    decision = grown * limits[f"{side}_decision"]
    measured = limits["flow_sensor"] > 0
    reference, cap = limits[f"{side}_reference"], grown * limits[f"{side}_cap"]
    if side == "under_delivery":
        reference = np.where(measured, reference, limits["under_delivery_rotor_reference"])
        cap = np.where(measured, cap, 2.0 * decision)  # an hour is rarely covered to the last second
    design = cusum.Design(reference, decision, cap, limits[f"{side}_clear_hours"])
    before = cusum.Side(state[level], state[total], state[clear_hours])
    after = cusum.advance(before, excess, share, design)
    starts = seen & (before.level == 0) & (before.total == 0) & (after.total > 0)
    state[since_ms] = np.where(starts, state[Field.HOUR] * HOUR_MS, state[since_ms])
    for field, value in zip((level, total, clear_hours), after, strict=True):
        state[field] = np.where(seen, value, state[field])


def _learn(state: Columns, deviation: Column, within: npt.NDArray[np.bool_], limits: Items) -> None:
    """How far do this pump's hours lie about their middle? The first hour is the middle, and its spread the usual."""
    new = state[Field.DEVIATION_SD] == 0
    middle = np.where(new, deviation, state[Field.DEVIATION_MIDDLE])
    spread = np.where(new, limits["over_delivery_usual_sd"], state[Field.DEVIATION_SD])
    most = _NOISE_CAP * spread
    off = np.minimum(np.maximum(deviation - middle, -most), most)
    state[Field.DEVIATION_MIDDLE] = np.where(within, middle + _NOISE_WEIGHT * off, state[Field.DEVIATION_MIDDLE])
    followed = spread + _NOISE_WEIGHT * (_SD_OF_MEAN_ABSOLUTE * np.abs(off) - spread)
    state[Field.DEVIATION_SD] = np.where(within, followed, state[Field.DEVIATION_SD])


def _follow_rate(state: Columns, step: Step) -> None:
    """It begins with the first hour or step that does not lie within a bolus, which is given at many times the rate."""
    all_ms, new = state[Field.HOUR_ALL_MS], state[Field.RATE_ML_D] == 0
    rate_ml_d = state[Field.HOUR_ALL_PROGRAM_UL] * UL_A_ML_D / np.where(all_ms > 0, all_ms, 1.0)
    moved_ml_d = np.where(new, 1.0, _RATE_WEIGHT) * (rate_ml_d - state[Field.RATE_ML_D])
    state[Field.RATE_ML_D] += np.where(all_ms >= LEAST_COVERED_MS, moved_ml_d, 0.0)
    first_ml_d = step.program_ul * UL_A_ML_D / step.covered_ms
    begins = (state[Field.RATE_ML_D] == 0) & (state[Field.MODE] == _RUNNING)
    state[Field.RATE_ML_D] = np.where(begins, first_ml_d, state[Field.RATE_ML_D])


_SIDES: Final = {
    side: (
        Field[f"{side.upper()}_LEVEL"],
        Field[f"{side.upper()}_SINCE_MS"],
        Field[f"{side.upper()}_SUM"],
        Field[f"{side.upper()}_CLEAR_HOURS"],
    )
    for side in ("over_delivery", "under_delivery")
}
