"""Reservoir: when will the pump run dry, if it has delivered as much more than computed as it well may have?

    V_cons = V − e · (V_full − V)                      what may truly be left
    t      = V_cons / ((q + boluses) · (1 + e))        conservative time to empty

q is programmed over about a day, `boluses` what the patient may still add to that. e is the upper 95 % end of the
pump's bias: N(1, 4) % at first, and narrower with every refill that told it (core/rules/refill.py). Nominal is V / q;
optimistic takes the lower end of the bias.

Low at t ≤ min(low_d, low_cycle_fraction of V_full / (q + boluses)) or V ≤ low_volume_ml; medium and high likewise with
nearer limits. The cycle allots what the time does: where patients may take more than is programmed, a full reservoir
lasts shorter, and is no less full. Judged when an hour of pump time ends; the level rises and never falls until a
refill ends the condition. A measured level that is further from the mean of its hour than WILD_ML and WILD_OF_CAPACITY
decides nothing in that hour.

Empty at V ≤ volume_ml: at once where the level is computed, in three steps in a row where it is measured, or when the
pump itself says so. Cannot see: a computed reservoir that over-infusion has emptied (docs/rules.md).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.holding import Pump, covered
from service.core.rules.step import HOUR_MS, Column, Step
from service.core.state import Columns, Field

WILD_ML: Final = 1.0
WILD_OF_CAPACITY: Final = 0.05
_LONG_D = 10_000.0  # stands for "not in sight" where nothing is programmed
_QUANTILE_95: Final = 1.645
_LEAST_SPREAD: Final = 0.01  # no number of refills tells the bias closer than this
_UNTIL_REFILL: Final = np.array([Field.RESERVOIR_LOW_LEVEL, Field.RESERVOIR_LOW_SAID])

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
    """The conservative time to empty; and where it is within sight of a limit, whether it is low."""
    left_ml = state[Field.RESERVOIR_ML]
    unknown = state[Field.FULL_ML] == 0
    if unknown.any():  # until a refill is seen, the last one is taken to have filled it
        state[Field.FULL_ML] = np.where(unknown, limits["capacity_ml"], state[Field.FULL_ML])
    state[Field.FULL_ML] = np.maximum(state[Field.FULL_ML], left_ml)
    empty_in_d = conservative_d(state, limits)
    state[Field.EMPTY_IN_D] = empty_in_d
    ratio = limits["reservoir_low_clear_ratio"]
    within_d = np.maximum(limits["reservoir_low_low_d"], limits["reservoir_low_medium_d"])
    near = empty_in_d <= np.maximum(within_d, limits["reservoir_low_high_d"])
    near |= left_ml <= limits["reservoir_low_low_volume_ml"]
    near |= (state[_UNTIL_REFILL] > 0).any(axis=0)
    chosen = np.flatnonzero(near)
    if len(chosen):
        part = state[:, chosen]
        _judge(part, step.ended_ms[chosen], limits.take(chosen), ratio[chosen])
        state[:, chosen] = part


def conservative_d(state: Columns, limits: Items) -> Column:
    return _time_d(state, _allotted_ml_d(state, limits), np.maximum(_bias(state, limits, 1.0), 0.0))


def nominal_d(state: Columns) -> Column:
    return _time_d(state, state[Field.RATE_ML_D], 0.0)


def optimistic_d(state: Columns, limits: Items) -> Column:
    return _time_d(state, state[Field.RATE_ML_D], np.minimum(_bias(state, limits, -1.0), 0.0))


def times_to_empty_d(state: Columns, limits: Items) -> npt.NDArray[np.float64]:
    """[nominal, conservative and optimistic; pump] as the readings until now have it; NaN where it is not in sight."""
    times_d = np.stack([nominal_d(state), conservative_d(state, limits), optimistic_d(state, limits)])
    return np.where(times_d < _LONG_D, times_d, np.nan)


def _judge(state: Columns, now_ms: Column, limits: Items, ratio: Column) -> None:
    state[Field.EMPTY_NOMINAL_D] = nominal_d(state)
    state[Field.EMPTY_OPTIMISTIC_D] = optimistic_d(state, limits)
    empty_in_d, left_ml, rate_ml_d = state[Field.EMPTY_IN_D], state[Field.RESERVOIR_ML], _allotted_ml_d(state, limits)
    cycle_d = np.where(rate_ml_d > 0, state[Field.FULL_ML] / np.where(rate_ml_d > 0, rate_ml_d, 1.0), _LONG_D)
    low_d = np.minimum(limits["reservoir_low_low_d"], limits["reservoir_low_low_cycle_fraction"] * cycle_d)
    medium_d = np.minimum(limits["reservoir_low_medium_d"], limits["reservoir_low_medium_cycle_fraction"] * cycle_d)
    is_low = (empty_in_d <= low_d) | (left_ml <= limits["reservoir_low_low_volume_ml"])
    is_low |= state[Field.RESERVOIR_LOW_SAID] > 0
    level = np.where(
        empty_in_d <= limits["reservoir_low_high_d"], 3.0, np.where(empty_in_d <= medium_d, 2.0, is_low * 1.0)
    )
    before = state[Field.RESERVOIR_LOW_LEVEL]
    believed = _believed(state, limits)
    level = np.where(believed | (state[Field.RESERVOIR_LOW_SAID] > 0), level, before)
    ends = (
        believed
        & (level == 0)
        & (empty_in_d > ratio * low_d)
        & (left_ml > ratio * limits["reservoir_low_low_volume_ml"])
    )
    state[Field.RESERVOIR_LOW_SINCE_MS] = np.where(
        (before == 0) & (level > 0), now_ms, state[Field.RESERVOIR_LOW_SINCE_MS]
    )
    state[Field.RESERVOIR_LOW_LEVEL] = np.where(ends, 0.0, np.maximum(before, level))


def _believed(state: Columns, limits: Items) -> npt.NDArray[np.bool_]:
    """A measured level far from the mean of its hour is a wild one: that hour says nothing. But after a refill."""
    mean_ml = state[Field.HOUR_LEVEL_ML_MS] / np.maximum(state[Field.HOUR_ALL_MS], 1.0)
    wild = (limits["reservoir_sensor"] > 0) & covered(state)
    wild &= np.abs(state[Field.RESERVOIR_ML] - mean_ml) > np.maximum(WILD_ML, WILD_OF_CAPACITY * limits["capacity_ml"])
    return np.asarray(~wild | (state[Field.REFILL_MS] >= state[Field.HOUR] * HOUR_MS))


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


def _allotted_ml_d(state: Columns, limits: Items) -> Column:
    """What is programmed, and what the patient may still ask for."""
    rate_ml_d, cap_ul = state[Field.RATE_ML_D], limits["bolus_daily_cap_ul"]
    if not cap_ul.any():
        return np.asarray(rate_ml_d)
    return np.asarray(rate_ml_d + np.maximum(cap_ul - state[Field.BOLUS_GIVEN_UL], 0.0) / 1000.0)


def _bias(state: Columns, limits: Items, side: float) -> Column:
    """The upper (`side` 1) or lower (-1) 95 % end of what leaves the pump beyond the program.

    What pumps are, and what this one's refills said, weighted by their information (normal distributions).
    """
    mean = limits["reservoir_low_bias_fraction"]
    end = np.asarray(mean + side * (limits["reservoir_low_error_fraction"] - mean))
    told = np.flatnonzero(state[Field.BIAS_INFORMATION] > 0)
    if len(told):
        mean, spread = mean[told], np.maximum(np.abs(end[told] - mean[told]), _LEAST_SPREAD) / _QUANTILE_95
        information = 1.0 / (spread * spread)
        known = information + state[Field.BIAS_INFORMATION, told]
        middle = (mean * information + state[Field.BIAS_SUM, told]) / known
        end[told] = middle + side * np.maximum(_QUANTILE_95 / np.sqrt(known), _LEAST_SPREAD)
    return end


def _time_d(state: Columns, rate_ml_d: Column, bias: Column | float) -> Column:
    left_ml = state[Field.RESERVOIR_ML]
    surely_left_ml = np.maximum(left_ml - bias * (state[Field.FULL_ML] - left_ml), 0.0)
    falls_ml_d = rate_ml_d * (1.0 + bias)
    time_d = np.full(len(left_ml), _LONG_D)
    np.divide(surely_left_ml, falls_ml_d, out=time_d, where=falls_ml_d > 0)
    return np.asarray(np.minimum(time_d, _LONG_D))
