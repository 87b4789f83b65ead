"""Reservoir: when will the pump run dry, if it has delivered as much more than computed as it well may have?

    V_cons = V − e · (V_full − V)                      what may truly be left
    t      = V_cons / ((q + boluses) · (1 + e))        conservative time to empty

q is programmed over about a day, `boluses` what the patient may still add to that. e is the upper 95 % end of the
pump's bias: N(1, 4) % at first, and narrower with every refill that told it (core/rules/refill.py). Nominal is V / q;
optimistic takes the lower end of the bias.

Low at t ≤ min(low_d, low_cycle_fraction of V_full / q) or V ≤ low_volume_ml; medium and high likewise with nearer
limits. Judged when an hour of pump time ends; the level rises and never falls until a refill ends the condition.

Empty at V ≤ volume_ml: at once where the level is computed, in three steps in a row where it is measured, or when the
pump itself says so. Cannot see: a computed reservoir that over-infusion has emptied (docs/rules.md).
"""

from typing import Final

import numpy as np

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.holding import Pump
from service.core.rules.step import Column, Step
from service.core.state import Columns, Field

_LONG_D = 10_000.0  # stands for "not in sight" where nothing is programmed
_QUANTILE_95: Final = 1.645
_LEAST_SPREAD: Final = 0.01  # no number of refills tells the bias closer than this

UNDER_WAY: Final = (Field.RESERVOIR_EMPTY_LEVEL, Field.EMPTY_STEPS)
STATISTICS: Final = {
    Condition.RESERVOIR_LOW: {
        "empty_in_d": Field.EMPTY_IN_D,
        "empty_nominal_d": Field.EMPTY_NOMINAL_D,
        "empty_optimistic_d": Field.EMPTY_OPTIMISTIC_D,
        "full_ml": Field.FULL_ML,
        "rate_ml_d": Field.RATE_ML_D,
        "boluses_ul": Field.BOLUS_GIVEN_UL,
        "left_ml": Field.RESERVOIR_ML,
        "said_by_pump": Field.RESERVOIR_LOW_SAID,
    },
    Condition.RESERVOIR_EMPTY: {
        "left_ml": Field.RESERVOIR_ML,
        "rate_ml_d": Field.RATE_ML_D,
        "said_by_pump": Field.EMPTY_SAID,
    },
}


def on_refill(pump: Pump, refill: np.void, _limits: np.void) -> None:
    pump[Field.FULL_ML] = pump[Field.RESERVOIR_ML] = refill["value"]
    pump[Field.RESERVOIR_LOW_SAID] = pump[Field.EMPTY_SAID] = 0.0


def close_hour(state: Columns, step: Step, limits: Items) -> None:
    """The times to empty, and whether the earliest is soon."""
    # Until a refill is seen, the last one is taken to have filled it.
    full_ml = np.where(state[Field.FULL_ML] > 0, state[Field.FULL_ML], limits["capacity_ml"])
    state[Field.FULL_ML] = np.maximum(full_ml, state[Field.RESERVOIR_ML])
    left_ml, full_ml, rate_ml_d = state[Field.RESERVOIR_ML], state[Field.FULL_ML], state[Field.RATE_ML_D]

    low, high = _bias(state, limits)
    allotted_ml_d = np.maximum(limits["bolus_daily_cap_ul"] - state[Field.BOLUS_GIVEN_UL], 0.0) / 1000.0
    empty_in_d = _time_d(left_ml, full_ml, rate_ml_d + allotted_ml_d, np.maximum(high, 0.0))
    cycle_d = _time_d(full_ml, full_ml, rate_ml_d, 0.0)
    state[Field.EMPTY_IN_D] = empty_in_d
    state[Field.EMPTY_NOMINAL_D] = _time_d(left_ml, full_ml, rate_ml_d, 0.0)
    state[Field.EMPTY_OPTIMISTIC_D] = _time_d(left_ml, full_ml, rate_ml_d, np.minimum(low, 0.0))

    low_d = np.minimum(limits["reservoir_low_low_d"], limits["reservoir_low_low_cycle_fraction"] * cycle_d)
    medium_d = np.minimum(limits["reservoir_low_medium_d"], limits["reservoir_low_medium_cycle_fraction"] * cycle_d)
    is_low = (empty_in_d <= low_d) | (left_ml <= limits["reservoir_low_low_volume_ml"])
    is_low |= state[Field.RESERVOIR_LOW_SAID] > 0
    level = np.where(
        empty_in_d <= limits["reservoir_low_high_d"], 3.0, np.where(empty_in_d <= medium_d, 2.0, is_low * 1.0)
    )

    ratio = limits["reservoir_low_clear_ratio"]
    before = state[Field.RESERVOIR_LOW_LEVEL]
    ends = (level == 0) & (empty_in_d > ratio * low_d) & (left_ml > ratio * limits["reservoir_low_low_volume_ml"])
    state[Field.RESERVOIR_LOW_SINCE_MS] = np.where(
        (before == 0) & (level > 0), step.ended_ms, state[Field.RESERVOIR_LOW_SINCE_MS]
    )
    state[Field.RESERVOIR_LOW_LEVEL] = np.where(ends, 0.0, np.maximum(before, level))


def advance_empty(state: Columns, step: Step, limits: Items) -> None:
    """Judge one step; almost always there is nothing to judge."""
    level_ml = state[Field.RESERVOIR_ML]
    concerned = (level_ml <= limits["reservoir_empty_volume_ml"]) | (state[Field.RESERVOIR_EMPTY_LEVEL] > 0)
    chosen = np.flatnonzero(concerned | (state[Field.EMPTY_STEPS] > 0))
    if not len(chosen):
        return
    part, own = state[:, chosen], limits.take(chosen)
    holds = part[Field.RESERVOIR_EMPTY_LEVEL] > 0
    empty = part[Field.RESERVOIR_ML] <= own["reservoir_empty_volume_ml"]
    starts = empty & (part[Field.EMPTY_STEPS] == 0) & ~holds
    state[Field.RESERVOIR_EMPTY_SINCE_MS, chosen] = np.where(
        starts, step.ended_ms[chosen], part[Field.RESERVOIR_EMPTY_SINCE_MS]
    )
    steps = np.where(empty, part[Field.EMPTY_STEPS] + 1, 0.0)
    needed = np.where(own["reservoir_sensor"] > 0, own["reservoir_empty_measured_steps"], 1.0)
    begins = ~holds & (steps >= needed)

    filled = (part[Field.RESERVOIR_ML] > own["reservoir_empty_clear_ml"]) & (part[Field.EMPTY_SAID] == 0)
    clear_ms = np.where(filled, part[Field.EMPTY_CLEAR_MS] + step.covered_ms[chosen], 0.0)
    clear_steps = np.where(filled, part[Field.EMPTY_CLEAR_STEPS] + 1, 0.0)
    ends = (
        holds
        & (clear_ms >= own["reservoir_empty_clear_for_s"] * 1000)
        & (clear_steps >= own["reservoir_empty_clear_steps"])
    )
    counting = holds & ~ends
    state[Field.EMPTY_STEPS, chosen] = steps
    state[Field.EMPTY_CLEAR_MS, chosen] = np.where(counting, clear_ms, 0.0)
    state[Field.EMPTY_CLEAR_STEPS, chosen] = np.where(counting, clear_steps, 0.0)
    state[Field.RESERVOIR_EMPTY_LEVEL, chosen] = np.where(begins, 1.0, np.where(ends, 0.0, holds * 1.0))


def _bias(state: Columns, limits: Items) -> tuple[Column, Column]:
    """The lower and the upper 95 % end of what leaves the pump beyond the program: what pumps are, and what its refills
    said, weighted by their information (normal distributions).
    """
    mean = limits["reservoir_low_bias_fraction"]
    spread = np.maximum(limits["reservoir_low_error_fraction"] - mean, _LEAST_SPREAD) / _QUANTILE_95
    information = 1.0 / (spread * spread)
    known = information + state[Field.BIAS_INFORMATION]
    middle = (mean * information + state[Field.BIAS_SUM]) / known
    half = np.maximum(_QUANTILE_95 / np.sqrt(known), _LEAST_SPREAD)
    return middle - half, middle + half


def _time_d(left_ml: Column, full_ml: Column, rate_ml_d: Column, bias: Column | float) -> Column:
    flows = rate_ml_d > 0
    surely_left_ml = np.maximum(left_ml - bias * (full_ml - left_ml), 0.0)
    time_d = surely_left_ml / (np.where(flows, rate_ml_d, 1.0) * (1.0 + bias))
    return np.where(flows, np.minimum(time_d, _LONG_D), _LONG_D)
