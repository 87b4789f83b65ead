"""Gross deviation: the flow is far above or below the program, from minute to minute.

    x = (measured − programmed) / max(programmed, floor_ml_d)          of one step, m minutes long
    G ← max(0, G + min((±x − reference) · m, decision / 3))            begins when G ≥ decision

A sum and not a count of readings in a row: at the same rate of false alerts it is sooner, and sees smaller shifts.
Three steps decide at least, but for a burst: burst_ul more than programmed, and burst_ratio times as much, in one.
Above needs a flow sensor. Below counts only while the flow is not stopped: that is a stall, which has its own time.
Where nothing is programmed neither is asked: rules/stopped.py.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.by_step import hold
from service.core.rules.step import UL_A_ML_D, Column, Step
from service.core.state import Columns, Field

MINUTE_MS: Final = 60_000.0

STATISTICS: Final = {
    Condition.OVER_DELIVERY_GROSS: {"sum": Field.OVER_DELIVERY_GROSS_SUM},
    Condition.UNDER_DELIVERY_GROSS: {"sum": Field.UNDER_DELIVERY_GROSS_SUM},
}
UNDER_WAY: Final = (
    Field.OVER_DELIVERY_GROSS_LEVEL,
    Field.OVER_DELIVERY_GROSS_SUM,
    Field.UNDER_DELIVERY_GROSS_LEVEL,
    Field.UNDER_DELIVERY_GROSS_SUM,
)


def advance(state: Columns, step: Step, limits: Items) -> None:
    programmed = step.program_ul > 0
    excess_ul = step.flow_ul - step.program_ul
    burst = programmed & (excess_ul >= limits["over_delivery_gross_burst_ul"])
    burst &= step.flow_ul >= limits["over_delivery_gross_burst_ratio"] * step.program_ul
    flows = programmed & (state[Field.STALL_UL] == 0) & (state[Field.STALL_LEVEL] == 0)
    sensor = limits["flow_sensor"] > 0
    level = state[Field.OVER_DELIVERY_GROSS_LEVEL]  # by the registry, the flow may be measured no longer
    state[Field.OVER_DELIVERY_GROSS_LEVEL] = np.where(sensor, level, 0.0)
    _side(state, step, limits, "over_delivery_gross", excess_ul, programmed & sensor, burst & sensor)
    _side(state, step, limits, "under_delivery_gross", -excess_ul, flows, np.zeros(len(flows), np.bool_))


def _side(
    state: Columns,
    step: Step,
    limits: Items,
    side: str,
    beyond_ul: Column,
    asked: npt.NDArray[np.bool_],
    at_once: npt.NDArray[np.bool_],
) -> None:
    level, since_ms, sum_, *clear = _FIELDS[side]
    decision = limits[f"{side}_decision"]
    scale_ul = np.maximum(step.program_ul, limits[f"{side}_floor_ml_d"] * step.covered_ms / UL_A_ML_D)
    scale_ul = np.where(asked, scale_ul, 1.0)
    minutes = step.covered_ms / MINUTE_MS
    beyond = (beyond_ul / scale_ul - limits[f"{side}_reference"]) * minutes
    total = np.clip(state[sum_] + np.minimum(beyond, decision / 3), 0.0, decision)
    total = np.where(asked, np.where(at_once, decision, total), 0.0)
    if not (total.any() or state[sum_].any() or state[level].any()):
        return
    starts = (total > 0) & (state[sum_] == 0) & (state[level] == 0)
    state[since_ms] = np.where(starts, step.began_ms, state[since_ms])
    state[sum_] = total
    begins = total >= decision - 1e-9  # three steps at a third of it each reach it
    hold(state, level, (clear[0], clear[1]), begins, beyond > 0, asked, step, limits, side)


_FIELDS: Final = {
    side: (
        Field[f"{side.upper()}_LEVEL"],
        Field[f"{side.upper()}_SINCE_MS"],
        Field[f"{side.upper()}_SUM"],
        Field[f"{side.upper()}_CLEAR_MS"],
        Field[f"{side.upper()}_CLEAR_STEPS"],
    )
    for side in ("over_delivery_gross", "under_delivery_gross")
}
