"""What follows from the items that have arrived? The fold: each pump's rules over its readings and events, in position
order.

Round k takes the k-th item of each pump, so a round is a few vectorised steps over many pumps. Every operation is
elementwise: the result does not depend on how items were batched, and replaying the store gives the same state to the
bit. A step that says nothing new (rules/screen.py) costs little more than its sums: the rules look at the pumps whose
step says something, at those in which an hour of pump time has ended, and at those with an event.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Change, Condition, Turn
from service.core.evidence import evidence_of
from service.core.reading import EventType, Items, Mode
from service.core.rules import (
    battery,
    delivery,
    device,
    dosing,
    flutter,
    gross,
    level,
    mri,
    program,
    refill,
    reservoir,
    screen,
    stall,
    step,
    stopped,
)
from service.core.rules.step import Step, add_to_hour, close, gather
from service.core.state import ALWAYS, DECIDED, LEVELS, SINCE_OF, Columns, Field

State = npt.NDArray[np.float64]
"""[pump, field]"""

OnEvent = Callable[[npt.NDArray[np.float64], np.void, np.void], None]
"""Changes one pump's state [field] by one event, given its limits."""

Advance = Callable[[Columns, Step, Items], None]
"""Changes the state [field, pump] of some pumps by one step of each, given their limits."""

_MINIMUM: Final = int(Mode.MINIMUM)  # comparing with the member itself takes NumPy five times as long
_ON_EVENT: Final[dict[EventType, tuple[OnEvent, ...]]] = {
    EventType.REFILL: (refill.on_refill, level.on_refill, reservoir.on_refill, program.on_refill),
    EventType.BOLUS_DELIVERED: (dosing.on_delivered,),
    EventType.BOLUS_DENIED: (dosing.on_denied,),
    EventType.PROGRAM_CHANGED: (battery.on_program_changed, program.on_program_changed, device.on_program_changed),
    EventType.STARTED: (program.on_broken_time, device.on_started),
    EventType.DEVICE_ALARM_RAISED: (stall.on_device_alarm, flutter.on_device_alarm, device.on_raised),
    EventType.DEVICE_ALARM_CLEARED: (device.on_cleared,),
    EventType.MRI_BEGAN: (mri.on_began,),
    EventType.MRI_ENDED: (mri.on_ended,),
    EventType.CLOCK_SET: (step.on_clock_set, program.on_broken_time),
}
_ON_HOUR: Final[tuple[Advance, ...]] = (
    refill.close_hour,
    level.close_hour,
    battery.close_hour,
    dosing.close_hour,
    device.close_hour,
    program.close_hour,
    delivery.close_hour,
    reservoir.close_hour,
    step.begin_hour,
)
_ON_STEP: Final[tuple[Advance, ...]] = (
    stall.advance,
    flutter.advance,
    gross.advance,
    stopped.advance,
    delivery.leave_out,
    reservoir.advance_empty,
    refill.advance,
    battery.advance_reset,
    program.advance_stopped,
    screen.settle,
)


def fold(
    state: State,
    evaluated: npt.NDArray[np.int64],
    items: Items,
    limits: Items,
    rows: npt.NDArray[np.intp],
    delayed_after_ms: float,
) -> list[Change]:
    """Advance the pumps over `items`, in place; return the turns of their conditions, round by round.

    `state` is [pump, field] and `evaluated` [pump], the position of each pump's last item (-1: none): copies, published
    by the caller once committed. `items` is sorted by pump and position; `rows` gives each item's row in `state`,
    `evaluated` and `limits`.
    """
    told = _Told(state, limits, delayed_after_ms)
    if not len(items):
        return told.changes
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    lengths = np.diff(np.r_[starts, len(items)])
    longest_first = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[longest_first], lengths[longest_first]
    for number in range(int(lengths[0])):
        pumps = int(np.searchsorted(-lengths, -number, side="left"))  # those with more than `number` items
        taken = starts[:pumps] + number
        _round(state, evaluated, items.take(taken), limits, rows[taken], told)
    return told.changes


class _Told:
    """The turns that a fold has found."""

    def __init__(self, state: State, limits: Items, delayed_after_ms: float) -> None:
        self.changes: list[Change] = []
        self._state = state
        self._limits = limits
        self._delayed_after_ms = delayed_after_ms

    def turns(self, before: Columns, after: Columns, items: Items, rows: npt.NDArray[np.intp]) -> None:
        """Compare the levels [condition, pump] and tell what has turned; the state is written back already."""
        turned = after != before
        if not turned.any():
            return
        for which, pump in zip(*np.nonzero(turned), strict=True):
            self._one(DECIDED[which], before[which, pump], after[which, pump], items[pump], rows[pump])

    def _one(self, condition: Condition, was: float, is_: float, item: np.void, row: np.intp) -> None:
        state = self._state[row]
        self.changes.append(
            Change(
                pump=int(item["pump"]),
                condition=condition,
                turn=Turn.ENDED if is_ == 0 else Turn.BEGAN if was == 0 else Turn.ROSE,
                step=int(is_ or was),
                position=int(item["position"]),
                at_ms=int(item["measured_ms"]),
                began_ms=int(state[SINCE_OF[condition]]),
                received_ms=int(item["received_ms"]),
                delayed=bool(item["received_ms"] - item["measured_ms"] > self._delayed_after_ms),
                evidence=evidence_of(condition, state, self._limits[row], item),
            )
        )


def _round(
    state: State,
    evaluated: npt.NDArray[np.int64],
    items: Items,
    limits: Items,
    rows: npt.NDArray[np.intp],
    told: _Told,
) -> None:
    position = items["position"]
    contiguous = position == evaluated[rows] + 1
    evaluated[rows] = position
    is_event = items["kind"] != EventType.READING
    if is_event.any():
        for index in np.flatnonzero(is_event):
            if not contiguous[index]:  # of what is missing the next reading's means say nothing, as if it came first
                state[rows[index], Field.CLOCK_SET] = 1.0
            _event(state, items[index : index + 1], limits, rows[index : index + 1], told)
        reading = ~is_event
        items, rows, contiguous = items.compress(reading), rows[reading], contiguous[reading]
        if not len(items):
            return
    columns = np.ascontiguousarray(state[rows, :ALWAYS].T)
    complete = np.flatnonzero(gather(columns, items, contiguous))
    if len(complete) == len(rows):
        _step(state, columns, items, limits, rows, told)
    elif len(complete):
        part = columns[:, complete]
        _step(state, part, items.take(complete), limits, rows[complete], told)
        columns[:, complete] = part
    state[rows, :ALWAYS] = columns.T


def _step(state: State, columns: Columns, items: Items, limits: Items, rows: npt.NDArray[np.intp], told: _Told) -> None:
    """One complete step of each pump: the rules look where they must, then it counts for its hour."""
    step_ = close(columns)
    said = screen.says_something(columns, step_, limits, rows) | (items["mode"] == _MINIMUM)
    watched = np.flatnonzero(said)
    if len(watched):
        columns[:, watched] = _look(state, columns[:, watched], step_.of(watched), limits, items, watched, rows, told)
    add_to_hour(columns, step_)


def _look(
    state: State,
    columns: Columns,
    step_: Step,
    limits: Items,
    items: Items,
    watched: npt.NDArray[np.intp],
    rows: npt.NDArray[np.intp],
    told: _Told,
) -> Columns:
    """All rules over one step of the `watched` pumps of a round: first over the hour that ended before it."""
    rows = rows[watched]
    whole = np.ascontiguousarray(state[rows].T)
    whole[:ALWAYS] = columns
    whole[Field.MODE], whole[Field.BATTERY_V] = items["mode"][watched], items["battery_v"][watched]
    before = whole[LEVELS].copy()
    own = limits.take(rows)
    ended = np.flatnonzero(step.in_new_hour(whole, step_))
    if len(ended):
        part, part_step, part_own = whole[:, ended], step_.of(ended), own.take(ended)
        for advance in _ON_HOUR:
            advance(part, part_step, part_own)
        whole[:, ended] = part
    for advance in _ON_STEP:
        advance(whole, step_, own)
    state[rows] = whole.T
    told.turns(before, whole[LEVELS], items.take(watched), rows)
    return whole[:ALWAYS]


def _event(state: State, item: Items, limits: Items, row: npt.NDArray[np.intp], told: _Told) -> None:
    """What an event changes. It covers no time."""
    pump = state[row[0]]
    before = pump[LEVELS].copy()
    for change in _ON_EVENT.get(EventType(item[0]["kind"]), ()):
        change(pump, item[0], limits[row[0]])
    pump[Field.UNSETTLED] = 1.0  # the next step shows what follows
    told.turns(before[:, None], pump[LEVELS][:, None], item, row)
