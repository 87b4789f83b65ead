"""Refill: is what was drawn off what should have been left? And did the refill go into the pump?

    off = aspirated − expected          |off| > delivered_fraction · delivered + aspiration_ml        step 1

Expected is the pump's own figure where it computes its level, else what was put in less what was programmed since.
Step 2, a suspected pocket fill, is one of:

- a measured level stays below what was put in, by `short_fraction` of the capacity on the mean of a few steps;
- a visit within `within_s` of a refill finds less than the limit allows, or any later one less by `beside_fraction`
  of what the refill before had put in.

A refill of which the event is lost is inferred from a level that stands above that of the hour before it by RISE_ML and
RISE_OF_CAPACITY at two hours' ends in a row, ten standard deviations of a measured level: what waits for a refill ends,
and what counts from one begins anew. Such a refill says nothing of what was drawn off.

Ends by a later refill that agrees. A refill that agrees also tells the pump's bias: −off / delivered, as exact as the
drawing off is. Cannot see: a pocket fill of a pump that computes its level, before the next visit; over-infusion and a
pocket fill look alike at that visit.
"""

from typing import Final

import numpy as np

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.holding import DAY_MS, Pump, begin
from service.core.rules.step import Column, Step, hour_of
from service.core.state import Columns, Field

RISE_ML: Final = 1.0
RISE_OF_CAPACITY: Final = 0.05
_RISEN_FOR_H: Final = 2.0
_REMEMBERED: Final = 0.8  # of what earlier refills said of the bias, at each refill: a bias may drift
_LEFT_BEHIND_ML: Final = 0.1  # about so much stays in the pump when it is emptied; unknown, so a part of the error
_LONGEST_MISSED_H: Final = 24.0 * 366

_SINCE_REFILL: Final = (
    *(Field.SINCE_REFILL_UL, Field.REFILL_PENDING, Field.RISEN_HOURS),
    *(Field.LEVEL_HOUR, Field.LEVEL_FAST_ML, Field.LEVEL_SLOW_ML, Field.RESERVOIR_LOW_SAID, Field.EMPTY_SAID),
)

UNDER_WAY: Final = (Field.REFILL_PENDING,)
STATISTICS: Final = {
    Condition.REFILL_MISMATCH: {
        "off_ml": Field.REFILL_OFF_ML,
        "off_limit_ml": Field.REFILL_LIMIT_ML,
        "put_in_ml": Field.PUT_IN_ML,
        "short_ml": Field.REFILL_SHORT_ML,
        "refill_ms": Field.REFILL_MS,
        "full_ml": Field.FULL_ML,
    },
}


def on_refill(pump: Pump, refill: np.void, limits: np.void) -> None:
    """Before the reservoir's own bookkeeping, which forgets what was there before."""
    at_ms, after_ml, aspirated_ml = float(refill["measured_ms"]), float(refill["value"]), float(refill["second"])
    sensor, heard, seen = limits["reservoir_sensor"] > 0, pump[Field.READING_MS] > 0, pump[Field.REFILL_MS] > 0
    left_ml = float(pump[Field.RESERVOIR_ML])
    full_ml = float(pump[Field.FULL_ML]) or max(float(limits["capacity_ml"]), left_ml)
    missed_ul = float(_missed_ul(pump, at_ms))
    computed_ml = full_ml - (_programmed_ul(pump) + missed_ul) / 1000.0
    expected_ml = max(computed_ml if sensor and seen else left_ml - missed_ul / 1000.0, 0.0)
    if heard and not np.isnan(aspirated_ml):
        _judge(pump, limits, aspirated_ml - expected_ml, max(full_ml - expected_ml, 0.0), at_ms, expected_ml)
    taken_ml = expected_ml if np.isnan(aspirated_ml) else aspirated_ml
    pump[Field.PUT_IN_ML] = max(after_ml - taken_ml, 0.0)
    pump[Field.REFILL_MS], pump[Field.BEFORE_ML] = at_ms, after_ml
    pump[Field.REFILL_PENDING] = 1.0 if sensor else 0.0
    pump[Field.REFILL_STEPS] = pump[Field.REFILL_SHORT_ML] = 0.0
    # What the hour and the step under way hold is added when they end, as are hours that nobody heard of; and was
    # programmed before the refill.
    pump[Field.SINCE_REFILL_UL] = -(pump[Field.HOUR_ALL_PROGRAM_UL] + pump[Field.STEP_PROGRAM_UL] + missed_ul)


def advance(state: Columns, step: Step, limits: Items) -> None:
    """Judge the measured level after a refill; almost always there was none."""
    chosen = np.flatnonzero(state[Field.REFILL_PENDING] > 0)
    if not len(chosen):
        return
    part, own = state[:, chosen], limits.take(chosen)
    elapsed_ms = np.maximum(step.ended_ms[chosen] - part[Field.REFILL_MS], 0.0)
    tells = elapsed_ms <= own["refill_mismatch_within_s"] * 1000
    expected_ml = part[Field.FULL_ML] - part[Field.RATE_ML_D] * elapsed_ms / DAY_MS
    steps = part[Field.REFILL_STEPS] + 1
    short_ml = part[Field.REFILL_SHORT_ML] + expected_ml - part[Field.RESERVOIR_ML]
    judged = tells & (steps >= own["refill_mismatch_short_steps"])
    mean_ml = short_ml / steps
    beside = judged & (mean_ml > own["refill_mismatch_short_fraction"] * own["capacity_ml"])
    starts = beside & (part[Field.REFILL_MISMATCH_LEVEL] == 0)
    state[Field.REFILL_MISMATCH_SINCE_MS, chosen] = np.where(
        starts, part[Field.REFILL_MS], part[Field.REFILL_MISMATCH_SINCE_MS]
    )
    state[Field.REFILL_MISMATCH_LEVEL, chosen] = np.where(beside, 2.0, part[Field.REFILL_MISMATCH_LEVEL])
    state[Field.FULL_ML, chosen] = np.where(
        beside, np.maximum(part[Field.FULL_ML] - mean_ml, part[Field.RESERVOIR_ML]), part[Field.FULL_ML]
    )
    state[Field.REFILL_STEPS, chosen] = steps
    state[Field.REFILL_SHORT_ML, chosen] = np.where(judged, mean_ml, short_ml)
    state[Field.REFILL_PENDING, chosen] = np.where(judged | ~tells, 0.0, 1.0)


def close_hour(state: Columns, step: Step, limits: Items) -> None:
    """Add the hour that has ended, and whole hours that nobody heard of at the usual rate. Was there a refill?"""
    state[Field.SINCE_REFILL_UL] += state[Field.HOUR_ALL_PROGRAM_UL]
    gaps = np.flatnonzero(hour_of(step.ended_ms) - state[Field.HOUR] > 1.0)
    if len(gaps):
        state[Field.SINCE_REFILL_UL, gaps] += _missed_ul(state[:, gaps], step.ended_ms[gaps])
    left_ml, before_ml = state[Field.RESERVOIR_ML], state[Field.BEFORE_ML]
    least_ml = np.maximum(RISE_ML, RISE_OF_CAPACITY * limits["capacity_ml"])
    risen = (left_ml > before_ml + least_ml) & (state[Field.HOUR] > 0)
    state[Field.BEFORE_ML] = np.where(risen, before_ml, left_ml)
    state[Field.RISEN_HOURS] = np.where(risen, state[Field.RISEN_HOURS] + 1, 0.0)
    chosen = np.flatnonzero(risen)
    if len(chosen):
        part = state[:, chosen]
        _infer(part, step.ended_ms[chosen])
        state[:, chosen] = part


def _infer(state: Columns, now_ms: Column) -> None:
    """Of pumps whose level has risen: a refill, if it has stayed so."""
    state[Field.LEVEL_SPOILT] = 1.0
    filled = state[Field.RISEN_HOURS] >= _RISEN_FOR_H
    left_ml = state[Field.RESERVOIR_ML]
    put_in_ml = left_ml - state[Field.BEFORE_ML]
    for field, value in ((Field.FULL_ML, left_ml), (Field.PUT_IN_ML, put_in_ml), (Field.REFILL_MS, now_ms)):
        state[field] = np.where(filled, value, state[field])
    state[Field.BEFORE_ML] = np.where(filled, left_ml, state[Field.BEFORE_ML])
    for field in _SINCE_REFILL:
        state[field] = np.where(filled, 0.0, state[field])


def _missed_ul(state: Columns, now_ms: Column | float) -> Column:
    """What was programmed in the whole hours between the one under way and that of `now_ms`, of which nothing came."""
    missed_h = hour_of(np.asarray(now_ms)) - state[Field.HOUR] - 1.0
    missed_h = np.where(state[Field.HOUR] > 0, np.clip(missed_h, 0.0, _LONGEST_MISSED_H), 0.0)
    return np.asarray(missed_h * state[Field.RATE_ML_D] * 1000.0 / 24.0)


def _programmed_ul(pump: Pump) -> float:
    return float(pump[Field.SINCE_REFILL_UL] + pump[Field.HOUR_ALL_PROGRAM_UL] + pump[Field.STEP_PROGRAM_UL])


def _judge(pump: Pump, limits: np.void, off_ml: float, delivered_ml: float, at_ms: float, expected_ml: float) -> None:
    aspiration_ml = float(limits["refill_mismatch_aspiration_ml"])
    limit_ml = float(limits["refill_mismatch_delivered_fraction"]) * delivered_ml + aspiration_ml
    pump[Field.REFILL_OFF_ML], pump[Field.REFILL_LIMIT_ML] = off_ml, limit_ml
    seen = pump[Field.REFILL_MS] > 0
    if abs(off_ml) > limit_ml:
        put_in_ml, missing_ml = float(pump[Field.PUT_IN_ML]), -off_ml
        soon = at_ms - pump[Field.REFILL_MS] <= limits["refill_mismatch_within_s"] * 1000
        much = missing_ml > limits["refill_mismatch_beside_fraction"] * put_in_ml
        beside = seen and limit_ml < missing_ml <= put_in_ml + limit_ml and (soon or much)
        begin(pump, Condition.REFILL_MISMATCH, at_ms, 2.0 if beside else 1.0)
        return
    pump[Field.REFILL_MISMATCH_LEVEL] = 0.0
    if seen and delivered_ml > 0 and expected_ml > 0:  # one that has run dry says nothing of how fast it did
        error_ml2 = (aspiration_ml / 3.0) ** 2 + _LEFT_BEHIND_ML**2
        information = delivered_ml**2 / error_ml2
        pump[Field.BIAS_INFORMATION] = _REMEMBERED * pump[Field.BIAS_INFORMATION] + information
        pump[Field.BIAS_SUM] = _REMEMBERED * pump[Field.BIAS_SUM] - off_ml / delivered_ml * information
