"""Dosing: does the pump give more by patient boluses than it may, and how often does it deny one? Exact 24 h windows.

    sum of the boluses that began in (t − 24 h + edge, t] > cap · (1 + above_fraction)        t: a bolus begins
    denials in (t − 24 h, t] ≥ count                                                          t: a denial

A pump counts a bolus from its beginning, by a clock that nobody sets; what it tells of is the end, by one that is set.
So the beginning is taken, the end less its duration, and one that lies at the edge of the day, by EDGE_MS or less, is
out of it: else the last bolus that a pump allows would be one too many.

The last twelve boluses are kept with their times. What comes on top within a day is added to the oldest kept, which
leaves the window later than it should: too much is counted, never too little. Both end when the window is clear again
at an hour's end, a whole hour after the last bolus or denial that was too much.

Not available without a cap in the registry. Cannot see: boluses whose events are lost for good; one that a pump gives
up to EDGE_MS too soon.
"""

from typing import Final

import numpy as np

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.holding import DAY_MS, Pump, begin, covered, ends_after
from service.core.rules.step import Step
from service.core.state import BOLUS_MS, BOLUS_UL, DENIED_MS, Columns, Field

EDGE_MS: Final = 60_000.0
"""A clock that drifts by 20 s before it is set, twice, and rounding."""
_UNDER_WAY: Final = [
    *(Field.BOLUS_GIVEN_UL, Field.BOLUS_DENIED_COUNT),
    *(Field.BOLUS_CAP_LEVEL, Field.BOLUS_DENIED_LEVEL),
]
STATISTICS: Final = {
    Condition.BOLUS_CAP: {"given_ul": Field.BOLUS_GIVEN_UL},
    Condition.BOLUS_DENIED: {"denied": Field.BOLUS_DENIED_COUNT},
}


def on_delivered(pump: Pump, bolus: np.void, limits: np.void) -> None:
    told_ms, lasted_ms = float(bolus["measured_ms"]), float(bolus["second"]) * 1000.0
    at_ms = told_ms - lasted_ms if lasted_ms > 0 else told_ms  # without a duration it is not known
    times_ms, doses_ul = pump[BOLUS_MS], pump[BOLUS_UL]
    after_ms = at_ms - DAY_MS + EDGE_MS
    if times_ms[-1] > after_ms:
        doses_ul[-2] += doses_ul[-1]
    times_ms[1:], doses_ul[1:] = times_ms[:-1].copy(), doses_ul[:-1].copy()
    times_ms[0], doses_ul[0] = at_ms, float(bolus["value"])
    pump[Field.BOLUS_GIVEN_UL] = np.where(times_ms > after_ms, doses_ul, 0.0).sum()
    cap_ul = float(limits["bolus_daily_cap_ul"])
    if cap_ul > 0 and pump[Field.BOLUS_GIVEN_UL] > cap_ul * (1 + limits["bolus_cap_above_fraction"]):
        pump[Field.BOLUS_CAP_CLEAR_HOURS] = -1.0
        begin(pump, Condition.BOLUS_CAP, told_ms)


def on_denied(pump: Pump, denied: np.void, limits: np.void) -> None:
    at_ms = float(denied["measured_ms"])
    times_ms = pump[DENIED_MS]
    times_ms[1:] = times_ms[:-1].copy()
    times_ms[0] = at_ms
    pump[Field.BOLUS_DENIED_COUNT] = np.count_nonzero(times_ms > at_ms - DAY_MS)
    if limits["bolus_daily_cap_ul"] > 0 and pump[Field.BOLUS_DENIED_COUNT] >= limits["bolus_denied_count"]:
        pump[Field.BOLUS_DENIED_CLEAR_HOURS] = -1.0
        begin(pump, Condition.BOLUS_DENIED, at_ms)


def close_hour(state: Columns, step: Step, limits: Items) -> None:
    """What an hour's end leaves in the windows, for the pumps that have something there."""
    chosen = np.flatnonzero((state[_UNDER_WAY] > 0).any(axis=0))
    if not len(chosen):
        return
    part, own, after_ms = state[:, chosen], limits.take(chosen), step.ended_ms[chosen] - DAY_MS
    given_ul, denied = np.zeros(len(chosen)), np.zeros(len(chosen))
    for time_ms, dose_ul in zip(part[BOLUS_MS], part[BOLUS_UL], strict=True):
        given_ul += np.where(time_ms > after_ms, dose_ul, 0.0)
    for time_ms in part[DENIED_MS]:
        denied += time_ms > after_ms
    one_hour = np.ones(len(chosen))
    known = covered(part)
    capped, refused = part[Field.BOLUS_CAP_LEVEL] > 0, part[Field.BOLUS_DENIED_LEVEL] > 0
    clear = capped & known & (given_ul <= own["bolus_cap_clear_fraction"] * own["bolus_daily_cap_ul"])
    over = ends_after(part, Field.BOLUS_CAP_CLEAR_HOURS, clear, one_hour)
    part[Field.BOLUS_CAP_LEVEL] = np.where(over, 0.0, part[Field.BOLUS_CAP_LEVEL])
    clear = refused & known & (denied < own["bolus_denied_count"])
    over = ends_after(part, Field.BOLUS_DENIED_CLEAR_HOURS, clear, one_hour)
    part[Field.BOLUS_DENIED_LEVEL] = np.where(over, 0.0, part[Field.BOLUS_DENIED_LEVEL])
    # A condition that still holds is looked at again, also once its window is empty.
    part[Field.BOLUS_GIVEN_UL] = np.where(part[Field.BOLUS_CAP_LEVEL] > 0, np.maximum(given_ul, 1e-9), given_ul)
    part[Field.BOLUS_DENIED_COUNT] = np.where(part[Field.BOLUS_DENIED_LEVEL] > 0, np.maximum(denied, 1e-9), denied)
    state[:, chosen] = part
