"""Delivery: the flow differs from the program. Grossly, from step to step; or for hours, by a capped CUSUM.

Gross over-delivery, where the pump has a flow sensor:

    flow > program + max(above_fraction · program, above_ml_d)      in `steps` steps in a row

Sustained over- and under-delivery, on the deviation x of each whole hour of pump time (measured volume / programmed
volume − 1):

    C ← min(2 · decision, max(0, C + min(±x − reference, cap)))     begins when C ≥ decision

The reference lies between the edge of the tolerance (14.5 %) and the reject level (30 %), so a healthy bias never
accumulates (Page 1954; docs/rules.md). The cap makes two hours at least decide. Steps below the stall's own limit
count as stall, not as under-delivery. Cannot see: a rotor counts steps, so it shows missed steps (under-delivery) but
neither bias nor over-delivery.
"""

from typing import Final

import numpy as np

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.step import HOUR_MS, UL_A_ML_D, Column, Step
from service.core.state import Columns, Field

LEAST_COVERED_MS: Final = 2_700_000.0  # three quarters of an hour: less is no evidence about that hour
LEAST_PROGRAM_UL: Final = 0.1
_RATE_WEIGHT: Final = 1 / 24  # the rate follows the program over about a day
_HOUR_ALL: Final = slice(Field.HOUR_ALL_MS, Field.HOUR_ALL_FLOW_UL + 1)
_HOUR_LEFT: Final = slice(Field.HOUR_LEFT_MS, Field.HOUR_LEFT_FLOW_UL + 1)

STATISTICS: Final = {
    Condition.OVER_DELIVERY_GROSS: {"steps_above": Field.OVER_DELIVERY_GROSS_STEPS},
    Condition.OVER_DELIVERY: {"cusum": Field.OVER_DELIVERY_SUM, "deviation": Field.DEVIATION},
    Condition.UNDER_DELIVERY: {"cusum": Field.UNDER_DELIVERY_SUM, "deviation": Field.DEVIATION},
}


def advance_gross(state: Columns, step: Step, limits: Items) -> None:
    holds = state[Field.OVER_DELIVERY_GROSS_LEVEL] > 0
    margin_ul = np.maximum(
        limits["over_delivery_gross_above_fraction"] * step.program_ul,
        limits["over_delivery_gross_above_ml_d"] * step.covered_ms / 86_400.0,
    )
    over = (limits["flow_sensor"] > 0) & (step.flow_ul > step.program_ul + margin_ul)
    starts = over & (state[Field.OVER_DELIVERY_GROSS_STEPS] == 0) & ~holds
    state[Field.OVER_DELIVERY_GROSS_SINCE_MS] = np.where(
        starts, step.began_ms, state[Field.OVER_DELIVERY_GROSS_SINCE_MS]
    )
    state[Field.OVER_DELIVERY_GROSS_STEPS] = np.where(over, state[Field.OVER_DELIVERY_GROSS_STEPS] + 1, 0.0)
    begins = ~holds & (state[Field.OVER_DELIVERY_GROSS_STEPS] >= limits["over_delivery_gross_steps"])

    clear_ms = np.where(over, 0.0, state[Field.OVER_DELIVERY_GROSS_CLEAR_MS] + step.covered_ms)
    clear_steps = np.where(over, 0.0, state[Field.OVER_DELIVERY_GROSS_CLEAR_STEPS] + 1)
    ends = (
        holds
        & (clear_ms >= limits["over_delivery_gross_clear_for_s"] * 1000)
        & (clear_steps >= limits["over_delivery_gross_clear_steps"])
    )
    counting = holds & ~ends
    state[Field.OVER_DELIVERY_GROSS_CLEAR_MS] = np.where(counting, clear_ms, 0.0)
    state[Field.OVER_DELIVERY_GROSS_CLEAR_STEPS] = np.where(counting, clear_steps, 0.0)
    state[Field.OVER_DELIVERY_GROSS_LEVEL] = np.where(
        begins, 1.0, np.where(ends, 0.0, state[Field.OVER_DELIVERY_GROSS_LEVEL])
    )


def leave_out(state: Columns, step: Step, limits: Items) -> None:
    """What the stall accounts for, and what nothing is programmed for, is no evidence about the deviation."""
    out = (step.program_ul <= 0) | (step.flow_ul < limits["stall_below_fraction"] * step.program_ul)
    state[_HOUR_LEFT] += out * step.sums


def close_hour(state: Columns, step: Step, limits: Items) -> None:
    """Judge the hour that has ended before this step."""
    covered_ms, program_ul, flow_ul = state[_HOUR_ALL] - state[_HOUR_LEFT]
    evident = (covered_ms >= LEAST_COVERED_MS) & (program_ul >= LEAST_PROGRAM_UL)
    deviation = flow_ul / np.where(evident, program_ul, 1.0) - 1.0
    state[Field.DEVIATION] = np.where(evident, deviation, state[Field.DEVIATION])
    began_ms = state[Field.HOUR] * HOUR_MS
    _cusum(state, "over_delivery", deviation, evident & (limits["flow_sensor"] > 0), began_ms, limits)
    _cusum(state, "under_delivery", -deviation, evident, began_ms, limits)
    state[_HOUR_LEFT] = 0.0

    all_ms = np.where(state[Field.HOUR_ALL_MS] > 0, state[Field.HOUR_ALL_MS], 1.0)
    rate_ml_d = state[Field.HOUR_ALL_PROGRAM_UL] * UL_A_ML_D / all_ms
    follows = state[Field.HOUR_ALL_MS] >= LEAST_COVERED_MS
    state[Field.RATE_ML_D] += np.where(follows, _RATE_WEIGHT * (rate_ml_d - state[Field.RATE_ML_D]), 0.0)
    first_ml_d = step.program_ul * UL_A_ML_D / step.covered_ms
    state[Field.RATE_ML_D] = np.where(state[Field.RATE_ML_D] == 0, first_ml_d, state[Field.RATE_ML_D])


_SIDES: Final = {
    "over_delivery": (
        Field.OVER_DELIVERY_LEVEL,
        Field.OVER_DELIVERY_SUM,
        Field.OVER_DELIVERY_SINCE_MS,
        Field.OVER_DELIVERY_CLEAR_HOURS,
    ),
    "under_delivery": (
        Field.UNDER_DELIVERY_LEVEL,
        Field.UNDER_DELIVERY_SUM,
        Field.UNDER_DELIVERY_SINCE_MS,
        Field.UNDER_DELIVERY_CLEAR_HOURS,
    ),
}


def _cusum(state: Columns, side: str, excess: Column, evident: Column, began_ms: Column, limits: Items) -> None:
    """One side of the CUSUM, for the pumps where the hour is `evident`; the others keep what they have."""
    level, sum_, since_ms, clear_hours = _SIDES[side]
    holds = state[level] > 0
    decision = limits[f"{side}_decision"]
    reference = limits[f"{side}_reference"]
    added = np.minimum(excess - reference, limits[f"{side}_cap"])
    total = np.clip(state[sum_] + added, 0.0, 2.0 * decision)
    starts = evident & ~holds & (state[sum_] == 0) & (total > 0)
    state[since_ms] = np.where(starts, began_ms, state[since_ms])
    begins = evident & ~holds & (total >= decision - 1e-12)  # two capped hours reach it exactly

    hours = np.where(excess < reference, state[clear_hours] + 1, 0.0)
    ends = evident & holds & (hours >= limits[f"{side}_clear_hours"])
    state[clear_hours] = np.where(evident, np.where(holds & ~ends, hours, 0.0), state[clear_hours])
    state[sum_] = np.where(evident, np.where(ends, 0.0, total), state[sum_])
    state[level] = np.where(begins, 1.0, np.where(ends, 0.0, state[level]))
