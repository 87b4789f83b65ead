"""Flutter: the rotor stops and starts again, again and again. Wear announces itself so, and so does a magnet nearby.

A stop is a run of steps below the stall's below_fraction of the program that ends by recovery. It counts when it has
lasted stop_for_s (sensor_stop_for_s where the flow is measured, whose noise can look like no flow) and has missed
stop_missed_ul; what the pump itself calls a stall of its motor counts too, and both at once count once. An MRI explains
its stops: they do not count.

    begins with the last of `episodes` stops whose onsets lie within window_s
    ends when the pump has run for window_s of covered time without another

The onsets of the last stops are kept, so that the window is exact.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Condition
from service.core.reading import DeviceCode, Items
from service.core.rules.mri import Phase
from service.core.rules.step import Column, Step
from service.core.state import Columns, Field

_RING: Final = slice(Field.FLUTTER_ONSET_1_MS, Field.FLUTTER_ONSET_5_MS + 1)

STATISTICS: Final = {
    Condition.STALL_FLUTTER: {"first_onset_ms": Field.STALL_FLUTTER_SINCE_MS, "last_onset_ms": Field.FLUTTER_ONSET_1_MS}
}
UNDER_WAY: Final = (Field.STALL_FLUTTER_LEVEL, Field.FLUTTER_STOP_MS)
_UNDER_WAY: Final = list(UNDER_WAY)


def on_device_alarm(state: npt.NDArray[np.float64], event: np.void, limits: np.void) -> None:
    if event["code"] != DeviceCode.MOTOR_STALL or state[Field.MRI_PHASE] != Phase.NONE:
        return
    if state[Field.FLUTTER_STOP_MS] > 0:  # the flow shows the same stop
        state[Field.FLUTTER_STOP_COUNTS] = 1.0
        return
    at_ms = float(event["measured_ms"])
    part = state[:, None]
    _count(part, np.array([True]), np.array([at_ms]), np.array([at_ms]), np.array([limits]))


def advance(state: Columns, step: Step, limits: Items) -> None:
    programmed = step.program_ul > 0
    still = programmed & (step.flow_ul < limits["stall_below_fraction"] * step.program_ul)
    if not (still.any() or state[_UNDER_WAY].any()):
        return
    # At rest a sensor's noise may look like flow for a minute: not while, in all, the flow is behind (rules/stall.py).
    flows = programmed & (step.flow_ul >= limits["stall_clear_above_fraction"] * step.program_ul)
    flows &= state[Field.STALL_UL] == 0

    before_ms = state[Field.FLUTTER_STOP_MS]
    starts = still & (before_ms == 0)
    since_ms = np.where(starts, step.began_ms, state[Field.FLUTTER_STOP_SINCE_MS])
    stop_ms = np.where(still, before_ms + step.covered_ms, before_ms)
    stop_ul = np.where(starts, 0.0, state[Field.FLUTTER_STOP_UL]) + still * (step.program_ul - step.flow_ul)
    sensor = limits["flow_sensor"] > 0
    needed_s = np.where(sensor, limits["stall_flutter_sensor_stop_for_s"], limits["stall_flutter_stop_for_s"])
    long = (stop_ms >= needed_s * 1000) & (stop_ul >= limits["stall_flutter_stop_missed_ul"])
    counts = np.where(starts, 0.0, state[Field.FLUTTER_STOP_COUNTS]) + long > 0
    explained = state[Field.MRI_PHASE] != Phase.NONE

    # A stop that counts waits for its recovery; any other run is over with the first step that is not still.
    goes_on = still | (counts & (stop_ms > 0) & programmed & ~flows)
    ended = flows & counts & (before_ms > 0) & ~explained
    state[Field.FLUTTER_STOP_SINCE_MS] = since_ms
    state[Field.FLUTTER_STOP_MS] = np.where(goes_on & ~explained, stop_ms, 0.0)
    state[Field.FLUTTER_STOP_UL] = np.where(goes_on, stop_ul, 0.0)
    state[Field.FLUTTER_STOP_COUNTS] = goes_on & counts

    clear_ms = np.where(still, state[Field.FLUTTER_CLEAR_MS], state[Field.FLUTTER_CLEAR_MS] + flows * step.covered_ms)
    holds = state[Field.STALL_FLUTTER_LEVEL] > 0
    ends = holds & ~ended & (clear_ms >= limits["stall_flutter_window_s"] * 1000)
    state[Field.FLUTTER_CLEAR_MS] = np.where(holds & ~ends, clear_ms, 0.0)
    state[Field.STALL_FLUTTER_LEVEL] = np.where(ends, 0.0, state[Field.STALL_FLUTTER_LEVEL])
    state[_RING] = np.where(ends, 0.0, state[_RING])
    if ended.any():
        _count(state, ended, since_ms, step.began_ms, limits)


def _count(state: Columns, ended: npt.NDArray[np.bool_], onset_ms: Column, end_ms: Column, limits: Items) -> None:
    """One more stop of the pumps in which one has `ended`, unless it is the last one seen another way."""
    own = onset_ms >= state[Field.FLUTTER_LAST_MS] + limits["stall_flutter_apart_s"] * 1000
    another = ended & (own | (state[Field.FLUTTER_ONSET_1_MS] == 0) | (onset_ms < state[Field.FLUTTER_ONSET_1_MS]))
    ring = state[_RING]
    ring = np.where(another, np.concatenate([onset_ms[None, :], ring[:-1]]), ring)
    state[_RING] = ring
    state[Field.FLUTTER_LAST_MS] = np.where(ended, end_ms, state[Field.FLUTTER_LAST_MS])
    state[Field.FLUTTER_CLEAR_MS] = np.where(ended, 0.0, state[Field.FLUTTER_CLEAR_MS])
    oldest_ms = np.take_along_axis(ring, limits["stall_flutter_episodes"].astype(np.intp)[None, :] - 1, axis=0)[0]
    within = (oldest_ms > 0) & (np.abs(onset_ms - oldest_ms) <= limits["stall_flutter_window_s"] * 1000)
    begins = another & within & (state[Field.STALL_FLUTTER_LEVEL] == 0)
    state[Field.STALL_FLUTTER_SINCE_MS] = np.where(begins, oldest_ms, state[Field.STALL_FLUTTER_SINCE_MS])
    state[Field.STALL_FLUTTER_LEVEL] = np.where(begins, 1.0, state[Field.STALL_FLUTTER_LEVEL])
