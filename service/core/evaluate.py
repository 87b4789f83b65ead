"""What follows from the items that have arrived? The fold: each pump's rules over its readings and events, in position
order.

Round k takes the k-th item of each pump, so a round is a few vectorised steps over many pumps. Every operation is
elementwise: the result does not depend on how items were batched, and replaying the store gives the same state to the
bit. What a minute must decide is decided a step; the rest when an hour of pump time ends, or by an event.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Change, Condition, Turn
from service.core.evidence import evidence_of
from service.core.reading import EventType, Items
from service.core.rules import delivery, reservoir, stall, step
from service.core.rules.step import Step, close, gather
from service.core.state import (
    DECIDED,
    FAST_DECIDED,
    FAST_LEVELS,
    LEVEL_OF,
    SINCE_OF,
    SLOW,
    SLOW_DECIDED,
    SLOW_LEVELS,
    Columns,
    Field,
)

State = npt.NDArray[np.float64]
"""[pump, field]"""

OnEvent = Callable[[npt.NDArray[np.float64], np.void, np.void], None]
"""Changes one pump's state [field] by one event, given its limits."""

_LEVELS: Final = np.array([LEVEL_OF[condition] for condition in DECIDED])

_ON_EVENT: Final[dict[EventType, tuple[OnEvent, ...]]] = {
    EventType.REFILL: (reservoir.on_refill,),
    EventType.CLOCK_SET: (step.on_clock_set,),
}


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

    def turns(
        self, decided: Sequence[Condition], before: Columns, after: Columns, items: Items, rows: npt.NDArray[np.intp]
    ) -> None:
        """Compare the levels [condition, pump] and tell what has turned; the state is written back already."""
        turned = after != before
        if not turned.any():
            return
        for which, pump in zip(*np.nonzero(turned), strict=True):
            self._one(decided[which], before[which, pump], after[which, pump], items[pump], rows[pump])

    def write_slow(self, rows: npt.NDArray[np.intp], whole: Columns) -> None:
        self._state[rows, SLOW:] = whole[SLOW:].T

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
            _event(state, items[index : index + 1], limits, rows[index : index + 1], told)
        reading = ~is_event
        items, rows, contiguous = items.compress(reading), rows[reading], contiguous[reading]
        if not len(items):
            return
    columns = np.ascontiguousarray(state[rows, :SLOW].T)
    before = columns[FAST_LEVELS].copy()
    complete = gather(columns, items, contiguous)
    _where(complete, columns, lambda part, chosen: _step(part, items, limits, rows, chosen, state, told))
    state[rows, :SLOW] = columns.T
    told.turns(FAST_DECIDED, before, columns[FAST_LEVELS], items, rows)


def _step(
    columns: Columns,
    items: Items,
    limits: Items,
    rows: npt.NDArray[np.intp],
    chosen: npt.NDArray[np.intp],
    state: State,
    told: _Told,
) -> None:
    """One complete step of the `chosen` pumps of a round: the hour that ended, then every rule."""
    step_ = close(columns)
    own = limits.take(rows[chosen])
    new_hour = np.flatnonzero(delivery.hour_of(step_.ended_ms) != columns[Field.HOUR])
    if len(new_hour):
        whole = np.empty((state.shape[1], len(new_hour)))
        whole[:SLOW] = columns[:, new_hour]
        whole[SLOW:] = state[rows[chosen[new_hour]], SLOW:].T
        _hour(whole, step_.of(new_hour), items.take(chosen[new_hour]), own.take(new_hour), told, rows[chosen[new_hour]])
        columns[:, new_hour] = whole[:SLOW]
    stall.advance(columns, step_, own)
    delivery.advance_gross(columns, step_, own)
    delivery.add_to_hour(columns, step_, own)


def _hour(whole: Columns, step_: Step, items: Items, limits: Items, told: _Told, rows: npt.NDArray[np.intp]) -> None:
    """The hour of pump time that has ended before this step, for the pumps in which one has."""
    before = whole[SLOW_LEVELS].copy()
    delivery.close_hour(whole, step_, limits)
    reservoir.advance(whole, step_, limits)
    told.write_slow(rows, whole)
    told.turns(SLOW_DECIDED, before, whole[SLOW_LEVELS], items, rows)


def _where(
    chosen: npt.NDArray[np.bool_], state: Columns, advance: Callable[[Columns, npt.NDArray[np.intp]], None]
) -> None:
    """Apply `advance` to the chosen pumps only; without a copy when it is all of them."""
    pumps = np.flatnonzero(chosen)
    if len(pumps) == state.shape[1]:
        advance(state, pumps)
    elif len(pumps):
        part = np.ascontiguousarray(state[:, pumps])
        advance(part, pumps)
        state[:, pumps] = part


def _event(state: State, item: Items, limits: Items, row: npt.NDArray[np.intp], told: _Told) -> None:
    """What an event changes. It covers no time."""
    pump = state[row[0]]
    before = pump[_LEVELS]
    for change in _ON_EVENT.get(EventType(item[0]["kind"]), ()):
        change(pump, item[0], limits[row[0]])
    told.turns(DECIDED, before[:, None], pump[_LEVELS][:, None], item, row)
