"""Device: what does the pump itself say is wrong? Its own alarms, passed through to the conditions that they mean.

Each is told at its event, whatever the rules have computed. While the pump says so the condition does not end by
computation alone; once it says that it is over, the condition's own rule decides, so that an alarm that comes and goes
makes one alert. An error of the memory has no rule but this: it ends a whole hour after the pump has said that it is
over; or, since that may be lost, after it has started anew, which tests its memory, or was programmed with authority,
unless it says so again.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from service.core.change import Condition
from service.core.reading import DeviceCode, Items
from service.core.rules import battery, program
from service.core.rules.holding import Pump, begin, covered, ends_after
from service.core.rules.step import Step
from service.core.state import Columns, Field

STATISTICS: Final = {Condition.MEMORY_ERROR: {"said_by_pump": Field.MEMORY_SAID}}


def on_raised(pump: Pump, said: np.void, _limits: np.void) -> None:
    if said["code"] in _RAISED:
        _RAISED[DeviceCode(said["code"])](pump, float(said["measured_ms"]))


def on_cleared(pump: Pump, said: np.void, _limits: np.void) -> None:
    if said["code"] in _SAID:
        pump[_SAID[DeviceCode(said["code"])]] = 0.0


def on_started(pump: Pump, _started: np.void, _limits: np.void) -> None:
    pump[Field.MEMORY_SAID] = 0.0


def on_program_changed(pump: Pump, change: np.void, _limits: np.void) -> None:
    if change["second"] > 0:
        pump[Field.MEMORY_SAID] = 0.0


def close_hour(state: Columns, _step: Step, limits: Items) -> None:
    chosen = np.flatnonzero(state[Field.MEMORY_ERROR_LEVEL] > 0)
    if not len(chosen):
        return
    part = state[:, chosen]
    clear = (part[Field.MEMORY_SAID] == 0) & covered(part)
    over = ends_after(part, Field.MEMORY_CLEAR_HOURS, clear, limits["memory_error_clear_hours"][chosen])
    state[Field.MEMORY_ERROR_LEVEL, chosen] = np.where(over, 0.0, part[Field.MEMORY_ERROR_LEVEL])
    state[Field.MEMORY_CLEAR_HOURS, chosen] = part[Field.MEMORY_CLEAR_HOURS]


def _on_reservoir_low(pump: Pump, at_ms: float) -> None:
    pump[Field.RESERVOIR_LOW_SAID] = 1.0
    begin(pump, Condition.RESERVOIR_LOW, at_ms)


def _on_reservoir_empty(pump: Pump, at_ms: float) -> None:
    pump[Field.EMPTY_SAID] = 1.0
    begin(pump, Condition.RESERVOIR_EMPTY, at_ms)


def _on_memory_error(pump: Pump, at_ms: float) -> None:
    pump[Field.MEMORY_SAID] = 1.0
    pump[Field.MEMORY_CLEAR_HOURS] = -1.0
    begin(pump, Condition.MEMORY_ERROR, at_ms)


_RAISED: Final[dict[int, Callable[[Pump, float], None]]] = {
    DeviceCode.RESERVOIR_LOW: _on_reservoir_low,
    DeviceCode.RESERVOIR_EMPTY: _on_reservoir_empty,
    DeviceCode.REPLACE_SOON: battery.on_replace_soon,
    DeviceCode.END_OF_SERVICE: battery.on_end_of_service,
    DeviceCode.BATTERY_RESET: battery.on_reset,
    DeviceCode.MEMORY_ERROR: _on_memory_error,
    DeviceCode.STOPPED_48H: program.on_stopped_48h,
}
"""A stall is not here: what the motor says is judged where its flow is (core/rules/stall.py)."""

_SAID: Final[dict[int, Field]] = {
    DeviceCode.RESERVOIR_LOW: Field.RESERVOIR_LOW_SAID,
    DeviceCode.RESERVOIR_EMPTY: Field.EMPTY_SAID,
    DeviceCode.REPLACE_SOON: Field.BATTERY_LOW_SAID,
    DeviceCode.END_OF_SERVICE: Field.BATTERY_END_SAID,
    DeviceCode.MEMORY_ERROR: Field.MEMORY_SAID,
}
