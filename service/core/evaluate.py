"""What follows from the items that have arrived? The fold: each pump's rules over its readings and events, in position
order.

Round k takes the k-th item of each pump, so a round is a few vectorised steps over many pumps. Every operation is
elementwise: the result does not depend on how items were batched, and replaying the store gives the same state to the
bit.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Change, Turn
from service.core.evidence import evidence_of
from service.core.reading import EventType, Items
from service.core.rules import delivery, reservoir, stall
from service.core.rules.step import close, gather
from service.core.state import DECIDED, LEVELS, Columns, Field

_SINCE: Final = (
    Field.STALL_SINCE_MS,
    Field.OVER_GROSS_SINCE_MS,
    Field.OVER_SINCE_MS,
    Field.UNDER_SINCE_MS,
    Field.RESERVOIR_SINCE_MS,
)


def fold(
    state: npt.NDArray[np.float64],
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
    changes: list[Change] = []
    if not len(items):
        return changes
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    lengths = np.diff(np.r_[starts, len(items)])
    longest_first = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[longest_first], lengths[longest_first]
    for number in range(int(lengths[0])):
        pumps = int(np.searchsorted(-lengths, -number, side="left"))  # those with more than `number` items
        taken = starts[:pumps] + number
        _round(state, evaluated, items[taken], limits, rows[taken], delayed_after_ms, changes)
    return changes


def _round(
    state: npt.NDArray[np.float64],
    evaluated: npt.NDArray[np.int64],
    items: Items,
    limits: Items,
    rows: npt.NDArray[np.intp],
    delayed_after_ms: float,
    changes: list[Change],
) -> None:
    position = items["position"]
    contiguous = position == evaluated[rows] + 1
    evaluated[rows] = position
    is_event = items["kind"] != EventType.READING
    if is_event.any():
        for item, row in zip(items[is_event], rows[is_event], strict=True):
            _event(state[row], item)
        reading = ~is_event
        items, rows, contiguous = items[reading], rows[reading], contiguous[reading]
        if not len(items):
            return
    columns = np.ascontiguousarray(state[rows].T)
    before = columns[LEVELS].copy()
    complete = gather(columns, items, contiguous)
    _where(complete, columns, lambda part, chosen: _step(part, limits[rows[chosen]]))
    state[rows] = columns.T
    turned = columns[LEVELS] != before
    if turned.any():
        _tell(turned, before, columns, items, limits[rows], delayed_after_ms, changes)


def _step(state: Columns, limits: Items) -> None:
    """One complete step of several pumps: the hour that ended, then every rule."""
    step = close(state)
    state[Field.FULL_ML] = np.where(
        state[Field.RATE_ML_D] == 0, np.maximum(limits["capacity_ml"], state[Field.FULL_ML]), state[Field.FULL_ML]
    )
    new_hour = delivery.hour_of(step.ended_ms) != state[Field.HOUR]
    _where(new_hour, state, lambda part, chosen: delivery.close_hour(part, step.of(chosen), limits[chosen]))
    stall.advance(state, step, limits)
    delivery.advance_gross(state, step, limits)
    delivery.add_to_hour(state, step, limits)
    reservoir.advance(state, step, limits)


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


def _event(state: npt.NDArray[np.float64], item: np.void) -> None:
    """What an event changes for the rules. It covers no time."""
    if item["kind"] == EventType.REFILL:
        state[Field.FULL_ML] = state[Field.RESERVOIR_ML] = item["value"]
    elif item["kind"] == EventType.CLOCK_SET:
        state[Field.CLOCK_SET] = 1.0


def _tell(
    turned: npt.NDArray[np.bool_],
    before: Columns,
    state: Columns,
    items: Items,
    limits: Items,
    delayed_after_ms: float,
    changes: list[Change],
) -> None:
    for decided, pump in zip(*np.nonzero(turned), strict=True):
        was, is_ = before[decided, pump], state[decided, pump]
        item, condition = items[pump], DECIDED[decided]
        changes.append(
            Change(
                pump=int(item["pump"]),
                condition=condition,
                turn=Turn.ENDED if is_ == 0 else Turn.BEGAN if was == 0 else Turn.ROSE,
                step=int(is_ or was),
                position=int(item["position"]),
                at_ms=int(item["measured_ms"]),
                began_ms=int(state[_SINCE[decided], pump]),
                received_ms=int(item["received_ms"]),
                delayed=bool(item["received_ms"] - item["measured_ms"] > delayed_after_ms),
                evidence=evidence_of(condition, state[:, pump], limits[pump], item),
            )
        )
