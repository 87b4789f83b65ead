"""Program: was it changed without authority? And for how long has nothing been programmed?

Unauthorised: a change of the basal program or the mode without a `command_id`, at its event. A change to the minimum
rate without one is told as a battery reset, once (core/rules/battery.py). Patient boluses and the steps of a flex
program are no such events. Ends by the next change with authority. Where the event of that is lost: by the next refill,
when somebody has the programmer on the pump, or once the mean rate has been within BACK_FRACTION of the one before the
change for a day, provided that what was set differs from it by twice that.

Stopped long: nothing programmed for `after_s`, and for `longer_after_s`, or as the pump itself says. The time is pump
time: covered time, and gaps between two readings that are both stopped, unless the clock was set or the pump restarted
in between. Ends after half an hour of running.
"""

from typing import Final

import numpy as np

from service.core.change import Condition
from service.core.reading import Items, Mode
from service.core.rules.holding import Pump, begin, covered, ends_after
from service.core.rules.step import Step
from service.core.state import Columns, Field

BACK_FRACTION: Final = 0.05
BACK_FOR_H: Final = 24.0

UNDER_WAY: Final = (Field.STOPPED_MS, Field.STOPPED_LONG_LEVEL)
STATISTICS: Final = {
    Condition.PROGRAM_UNAUTHORISED: {"set_ml_d": Field.PROGRAM_SET_ML_D, "usual_ml_d": Field.PROGRAM_USUAL_ML_D},
    Condition.STOPPED_LONG: {"stopped_ms": Field.STOPPED_MS},
}


def on_program_changed(pump: Pump, change: np.void, _limits: np.void) -> None:
    if change["value"] > 0:
        pump[Field.STOPPED_SEEN_MS] = 0.0  # in a gap it may have run
    if change["second"] > 0:
        pump[Field.PROGRAM_UNAUTHORISED_LEVEL] = 0.0
    elif change["mode"] != Mode.MINIMUM:
        if pump[Field.PROGRAM_UNAUTHORISED_LEVEL] == 0:
            pump[Field.PROGRAM_USUAL_ML_D] = pump[Field.RATE_ML_D]
        pump[Field.PROGRAM_SET_ML_D] = change["value"]
        pump[Field.PROGRAM_CLEAR_HOURS] = -1.0
        begin(pump, Condition.PROGRAM_UNAUTHORISED, float(change["measured_ms"]))


def on_refill(pump: Pump, _refill: np.void, _limits: np.void) -> None:
    pump[Field.PROGRAM_UNAUTHORISED_LEVEL] = 0.0


def close_hour(state: Columns, _step: Step, _limits: Items) -> None:
    """Where a change without authority is in force no longer, it was taken back, whoever did so."""
    chosen = np.flatnonzero(state[Field.PROGRAM_UNAUTHORISED_LEVEL] > 0)
    if not len(chosen):
        return
    part = state[:, chosen]
    usual_ml_d = part[Field.PROGRAM_USUAL_ML_D]
    differs = np.abs(part[Field.PROGRAM_SET_ML_D] - usual_ml_d) > 2 * BACK_FRACTION * usual_ml_d
    back = np.abs(part[Field.RATE_ML_D] - usual_ml_d) <= BACK_FRACTION * usual_ml_d
    clear = (usual_ml_d > 0) & differs & back & covered(part)
    over = ends_after(part, Field.PROGRAM_CLEAR_HOURS, clear, np.full(len(chosen), BACK_FOR_H))
    part[Field.PROGRAM_UNAUTHORISED_LEVEL] = np.where(over, 0.0, part[Field.PROGRAM_UNAUTHORISED_LEVEL])
    state[:, chosen] = part


def on_broken_time(pump: Pump, _event: np.void, _limits: np.void) -> None:
    """The clock was set, or the pump restarted: the time until the next reading is not known to be stopped."""
    pump[Field.STOPPED_SEEN_MS] = 0.0


def on_stopped_48h(pump: Pump, at_ms: float) -> None:
    begin(pump, Condition.STOPPED_LONG, at_ms - pump[Field.STOPPED_MS], 2.0)


def advance_stopped(state: Columns, step: Step, limits: Items) -> None:
    """Judge one step; almost every pump runs."""
    still = step.program_ul == 0
    chosen = np.flatnonzero(still | (state[Field.STOPPED_MS] > 0) | (state[Field.STOPPED_LONG_LEVEL] > 0))
    if not len(chosen):
        return
    part, own, nothing = state[:, chosen], limits.take(chosen), still[chosen]
    seen_ms, covered_ms = part[Field.STOPPED_SEEN_MS], step.covered_ms[chosen]
    passed_ms = np.where(seen_ms > 0, np.maximum(step.ended_ms[chosen] - seen_ms, covered_ms), covered_ms)
    stopped_ms = np.where(nothing, part[Field.STOPPED_MS] + passed_ms, 0.0)
    before = part[Field.STOPPED_LONG_LEVEL]
    starts = nothing & (part[Field.STOPPED_MS] == 0) & (before == 0)
    state[Field.STOPPED_LONG_SINCE_MS, chosen] = np.where(
        starts, step.began_ms[chosen], part[Field.STOPPED_LONG_SINCE_MS]
    )
    level = (stopped_ms >= own["stopped_long_after_s"] * 1000) * 1.0
    level += stopped_ms >= own["stopped_long_longer_after_s"] * 1000
    running_ms = np.where(nothing, 0.0, part[Field.STOPPED_CLEAR_MS] + covered_ms)
    over = ~nothing & (running_ms >= own["stopped_long_clear_for_s"] * 1000)
    state[Field.STOPPED_LONG_LEVEL, chosen] = np.where(over, 0.0, np.maximum(before, level))
    state[Field.STOPPED_CLEAR_MS, chosen] = np.where((before > 0) & ~over, running_ms, 0.0)
    state[Field.STOPPED_MS, chosen] = stopped_ms
    state[Field.STOPPED_SEEN_MS, chosen] = np.where(nothing, step.ended_ms[chosen], 0.0)
