"""Reservoir: when will the pump run dry, if it has delivered as much more than computed as it well may have?

    V_cons = V − e · (V_full − V)          what may truly be left
    t      = V_cons / (q · (1 + e))        conservative time to empty, q programmed over about a day

Low at t ≤ min(low_d, low_cycle_fraction of V_full / q) or V ≤ low_volume_ml; medium and high likewise with nearer
limits. Judged when an hour of pump time ends.
The level rises and never falls until a refill ends the condition. Cannot see: a computed reservoir that
over-infusion has emptied (docs/rules.md).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.step import Step
from service.core.state import Columns, Field

_LONG_D = 10_000.0  # stands for "not in sight" where nothing is programmed

STATISTICS: Final = {
    Condition.RESERVOIR_LOW: {"empty_in_d": Field.EMPTY_IN_D, "full_ml": Field.FULL_ML, "rate_ml_d": Field.RATE_ML_D}
}


def on_refill(state: npt.NDArray[np.float64], refill: np.void, _limits: np.void) -> None:
    state[Field.FULL_ML] = state[Field.RESERVOIR_ML] = refill["value"]


def advance(state: Columns, step: Step, limits: Items) -> None:
    error = limits["reservoir_low_error_fraction"]
    # Until a refill is seen, the last one is taken to have filled it.
    full_ml = np.where(state[Field.FULL_ML] > 0, state[Field.FULL_ML], limits["capacity_ml"])
    state[Field.FULL_ML] = np.maximum(full_ml, state[Field.RESERVOIR_ML])
    left_ml, full_ml, rate_ml_d = state[Field.RESERVOIR_ML], state[Field.FULL_ML], state[Field.RATE_ML_D]
    flows = rate_ml_d > 0
    rate_ml_d = np.where(flows, rate_ml_d, 1.0)
    surely_left_ml = np.maximum(left_ml - error * (full_ml - left_ml), 0.0)
    empty_in_d = np.where(flows, np.minimum(surely_left_ml / (rate_ml_d * (1.0 + error)), _LONG_D), _LONG_D)
    cycle_d = np.where(flows, full_ml / rate_ml_d, _LONG_D)

    low_d = np.minimum(limits["reservoir_low_low_d"], limits["reservoir_low_low_cycle_fraction"] * cycle_d)
    medium_d = np.minimum(limits["reservoir_low_medium_d"], limits["reservoir_low_medium_cycle_fraction"] * cycle_d)
    low = (empty_in_d <= low_d) | (left_ml <= limits["reservoir_low_low_volume_ml"])
    level = np.where(
        empty_in_d <= limits["reservoir_low_high_d"], 3.0, np.where(empty_in_d <= medium_d, 2.0, low * 1.0)
    )

    ratio = limits["reservoir_low_clear_ratio"]
    before = state[Field.RESERVOIR_LOW_LEVEL]
    ends = (level == 0) & (empty_in_d > ratio * low_d) & (left_ml > ratio * limits["reservoir_low_low_volume_ml"])
    state[Field.RESERVOIR_LOW_SINCE_MS] = np.where(
        (before == 0) & (level > 0), step.ended_ms, state[Field.RESERVOIR_LOW_SINCE_MS]
    )
    state[Field.RESERVOIR_LOW_LEVEL] = np.where(ends, 0.0, np.maximum(before, level))
    state[Field.EMPTY_IN_D] = empty_in_d
