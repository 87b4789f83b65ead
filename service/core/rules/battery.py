"""Battery: when must the pump be replaced, has it ended its service, and was it reset? Judged when an hour ends.

To be replaced (ERI): the voltage is below `low_v` at three hours' ends in a row, or the pump says so, or it is within
`service_d` of the longest life that a pump has. The end of service is `service_d` after the first two, and at the end
of that life, whichever comes first; medium and high as it comes near. The voltage counts as recovered `deadband_v`
higher.

End: the pump says so, or its life is over, or its service is and it no longer delivers.

Reset: the pump says so, or runs at its minimum rate though nobody has asked for it. A change of the program with
authority ends that; where its event is lost, three covered hours in a row in which the pump runs as programmed do. Of a
pump that has never been heard in another mode it is not known what was asked for: its minimum rate alone says nothing.
Cannot see: a cell that fails between two hours' ends; a life without an implantation date.
"""

from typing import Final

import numpy as np

from service.core.change import Condition
from service.core.reading import Items, Mode
from service.core.rules.holding import DAY_MS, Pump, begin, covered, ends_after
from service.core.rules.step import Column, Step
from service.core.state import Columns, Field

YEAR_MS: Final = 365.25 * DAY_MS
_MINIMUM: Final = float(Mode.MINIMUM)  # comparing with the member itself takes NumPy five times as long
_RUNS_FOR_H: Final = 3.0
_FAR_D: Final = 36_525.0  # stands for "not in sight"

_UNDER_WAY: Final = np.array(
    [
        *(Field.BATTERY_LOW_LEVEL, Field.BATTERY_LOW_MS, Field.BATTERY_LOW_SAID, Field.BATTERY_HOURS),
        *(Field.BATTERY_END_LEVEL, Field.BATTERY_END_SAID, Field.BATTERY_RESET_LEVEL),
    ]
)
STATISTICS: Final = {
    Condition.BATTERY_LOW: {
        "service_left_d": Field.SERVICE_LEFT_D,
        "hourly_v": Field.BATTERY_V,
        "said_by_pump": Field.BATTERY_LOW_SAID,
    },
    Condition.BATTERY_END: {
        "service_left_d": Field.SERVICE_LEFT_D,
        "hourly_v": Field.BATTERY_V,
        "said_by_pump": Field.BATTERY_END_SAID,
    },
}


def close_hour(state: Columns, step: Step, limits: Items) -> None:
    """Judge the pumps whose voltage or age says something, or who have something under way."""
    concerned = state[Field.BATTERY_V] < limits["battery_low_low_v"]
    concerned |= (state[_UNDER_WAY] != 0).any(axis=0)
    lasts_ms = (limits["battery_low_life_y"] * 365.25 - limits["battery_low_service_d"]) * DAY_MS
    concerned |= step.ended_ms >= limits["implanted_ms"] + lasts_ms  # never where that is not known
    chosen = np.flatnonzero(concerned)
    if len(chosen):
        part = state[:, chosen]
        _judge(part, step.of(chosen), limits.take(chosen))
        _end_reset(part)
        state[:, chosen] = part


def _judge(state: Columns, step: Step, limits: Items) -> None:
    now_ms, volts = step.ended_ms, state[Field.BATTERY_V]
    low = volts < limits["battery_low_low_v"]
    state[Field.BATTERY_HOURS] = np.where(low, state[Field.BATTERY_HOURS] + 1, 0.0)
    crossed = (state[Field.BATTERY_HOURS] >= limits["battery_low_hours"]) | (state[Field.BATTERY_LOW_SAID] > 0)
    state[Field.BATTERY_LOW_MS] = np.where(
        crossed & (state[Field.BATTERY_LOW_MS] == 0), now_ms, state[Field.BATTERY_LOW_MS]
    )
    high = volts >= limits["battery_low_low_v"] + limits["battery_low_deadband_v"]
    recovering = (state[Field.BATTERY_LOW_MS] > 0) & high & (state[Field.BATTERY_LOW_SAID] == 0)
    recovered = ends_after(state, Field.BATTERY_CLEAR_HOURS, recovering, limits["battery_low_hours"])
    state[Field.BATTERY_LOW_MS] = np.where(recovered, 0.0, state[Field.BATTERY_LOW_MS])

    service_d = limits["battery_low_service_d"]
    life_left_d = _left_d(limits["implanted_ms"] + limits["battery_low_life_y"] * YEAR_MS, now_ms)
    service_left_d = np.where(
        state[Field.BATTERY_LOW_MS] > 0, service_d - (now_ms - state[Field.BATTERY_LOW_MS]) / DAY_MS, _FAR_D
    )
    left_d = np.minimum(life_left_d, service_left_d)
    state[Field.SERVICE_LEFT_D] = left_d
    due = (state[Field.BATTERY_LOW_MS] > 0) | (life_left_d <= service_d)
    near = (left_d <= limits["battery_low_medium_d"]) * 1.0 + (left_d <= limits["battery_low_high_d"])
    before = state[Field.BATTERY_LOW_LEVEL]
    state[Field.BATTERY_LOW_SINCE_MS] = np.where(due & (before == 0), now_ms, state[Field.BATTERY_LOW_SINCE_MS])
    state[Field.BATTERY_LOW_LEVEL] = np.where(due, np.maximum(before, 1.0 + near), 0.0)
    _end(state, now_ms, limits, life_left_d=life_left_d, service_left_d=service_left_d)


def advance_reset(state: Columns, step: Step, _limits: Items) -> None:
    """Judge one step; almost no pump runs at its minimum rate."""
    at_minimum = state[Field.MODE] == _MINIMUM
    state[Field.OTHER_MODE_SEEN] = np.where(at_minimum, state[Field.OTHER_MODE_SEEN], 1.0)
    minimum = np.flatnonzero(at_minimum)
    if not len(minimum):
        return
    state[Field.RESET_CLEAR_HOURS, minimum] = -1.0
    unasked = (state[Field.MINIMUM_COMMANDED, minimum] == 0) & (state[Field.BATTERY_RESET_LEVEL, minimum] == 0)
    chosen = minimum[unasked & (state[Field.OTHER_MODE_SEEN, minimum] > 0)]
    state[Field.BATTERY_RESET_LEVEL, chosen] = 1.0
    state[Field.BATTERY_RESET_SINCE_MS, chosen] = step.began_ms[chosen]


def _end_reset(state: Columns) -> None:
    """What it was asked for has changed, although nobody told us: it no longer runs at its minimum rate."""
    runs = (state[Field.MODE] != _MINIMUM) & (state[Field.HOUR_ALL_PROGRAM_UL] > 0) & covered(state)
    clear = (state[Field.BATTERY_RESET_LEVEL] > 0) & runs
    over = ends_after(state, Field.RESET_CLEAR_HOURS, clear, np.full(len(clear), _RUNS_FOR_H))
    state[Field.BATTERY_RESET_LEVEL] = np.where(over, 0.0, state[Field.BATTERY_RESET_LEVEL])


def on_program_changed(pump: Pump, change: np.void, _limits: np.void) -> None:
    authorised, minimum = change["second"] > 0, change["mode"] == Mode.MINIMUM
    pump[Field.MINIMUM_COMMANDED] = 1.0 if authorised and minimum else 0.0
    if authorised:
        pump[Field.BATTERY_RESET_LEVEL] = 0.0
    elif minimum:
        on_reset(pump, float(change["measured_ms"]))


def on_replace_soon(pump: Pump, at_ms: float) -> None:
    pump[Field.BATTERY_LOW_SAID] = 1.0
    pump[Field.BATTERY_LOW_MS] = pump[Field.BATTERY_LOW_MS] or at_ms
    begin(pump, Condition.BATTERY_LOW, at_ms)


def on_end_of_service(pump: Pump, at_ms: float) -> None:
    pump[Field.BATTERY_END_SAID] = 1.0
    begin(pump, Condition.BATTERY_END, at_ms)


def on_reset(pump: Pump, at_ms: float) -> None:
    pump[Field.RESET_CLEAR_HOURS] = -1.0
    begin(pump, Condition.BATTERY_RESET, at_ms)


def _end(state: Columns, now_ms: Column, limits: Items, *, life_left_d: Column, service_left_d: Column) -> None:
    still_ul = limits["battery_end_still_fraction"] * state[Field.HOUR_ALL_PROGRAM_UL]
    delivers = (state[Field.HOUR_ALL_PROGRAM_UL] > 0) & (state[Field.HOUR_ALL_FLOW_UL] > still_ul)
    ended = (life_left_d <= 0) | (state[Field.BATTERY_END_SAID] > 0)
    ended |= (service_left_d <= 0) & covered(state) & ~delivers
    before = state[Field.BATTERY_END_LEVEL]
    clear = (before > 0) & ~ended & covered(state) & delivers
    over = ends_after(state, Field.BATTERY_END_CLEAR_HOURS, clear, limits["battery_end_clear_hours"])
    state[Field.BATTERY_END_SINCE_MS] = np.where(ended & (before == 0), now_ms, state[Field.BATTERY_END_SINCE_MS])
    state[Field.BATTERY_END_LEVEL] = np.where(ended, 1.0, np.where(over, 0.0, before))


def _left_d(until_ms: Column, now_ms: Column) -> Column:
    """Days left; far where `until_ms` is not known (NaN)."""
    return np.asarray(np.where(np.isnan(until_ms), _FAR_D, (until_ms - now_ms) / DAY_MS))
