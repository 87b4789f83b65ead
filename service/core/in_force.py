"""By which limits is each reading judged? By those that were in force for its pump at its position.

A change of rulebook or registry takes effect at a position of each pump: what was evaluated before stays as it was
judged, also when it is folded again after a crash or since something came late.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.core.change import Change, Standing, Turn
from service.core.evaluate import fold
from service.core.fleet import Fleet
from service.core.pipeline import Folded, starts_of
from service.core.pump_rules import PumpRules, Term
from service.core.reading import Items
from service.core.state import DECIDED, LEVEL_OF, SINCE_OF, Field


class Stand(NamedTuple):
    """From what a pump is folded on: its state [field] after a position."""

    state: npt.NDArray[np.float64]
    evaluated: int


def fold_terms(
    fleet: Fleet,
    items: Items,
    rows: npt.NDArray[np.intp],
    history: Mapping[int, Sequence[Term]],
    stands: Mapping[int, Stand] | None = None,
) -> Folded:
    """Fold `items` (sorted by pump and position) onto copies of the pumps' states, each under the limits of its time.

    `history` has the terms of each row, in order; the first holds from before the row's evaluated position on, the
    last is in force in the fleet. `stands`, by row: fold onto these, and not onto what is in force. A change of rules
    is told with the item before it: history may be folded in any slices.
    """
    starts = starts_of(rows)
    touched = rows[starts]
    state, evaluated = fleet.state[touched], fleet.ledger.evaluated[touched]
    if not len(rows):
        return Folded(touched, state, evaluated, [])
    for index, row in enumerate(touched.tolist() if stands else ()):
        state[index], evaluated[index] = (stands or {})[row]
    local = np.repeat(np.arange(len(touched)), np.diff(np.r_[starts, len(rows)]))
    until = items["position"][np.r_[starts[1:], len(rows)] - 1]
    terms = [
        _relevant(history[row], at, last)
        for row, at, last in zip(touched.tolist(), evaluated.tolist(), until.tolist(), strict=True)
    ]
    which = _which(terms, items["position"], starts)
    changes: list[Change] = []
    limits = fleet.limits.take(touched)
    for number in range(max(map(len, terms), default=0)):
        for index, own in enumerate(terms):
            if number < len(own):
                if own[number] is not history[int(touched[index])][-1]:
                    own[number].fill(limits[index : index + 1])
                elif len(own) > 1:
                    limits[index] = fleet.limits[int(touched[index])]
                if number:
                    key = int(fleet.keys[touched[index]])
                    changes += switched_on(key, own[number - 1].rules, own[number], state[index])
        now = which == number
        found = fold(state, evaluated, items[now], limits, local[now], fleet.delayed_after_ms)
        place = {int(fleet.keys[row]): index for index, row in enumerate(touched.tolist())}
        for change in found:
            term = terms[place[change.pump]][number]
            changes.append(replace(change, ruled=term.rules.ruled(change, term.rulebook_version)))
    return Folded(touched, state, evaluated, changes)


def _which(
    terms: Sequence[Sequence[Term]], positions: npt.NDArray[np.int64], starts: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """In which of its pump's terms each item is."""
    which = np.zeros(len(positions), np.intp)
    for own, first, last in zip(terms, starts, [*starts[1:], len(positions)], strict=False):
        if len(own) > 1:
            afters = np.array([term.after for term in own], np.int64)
            which[first:last] = np.searchsorted(afters, positions[first:last], side="left") - 1
    return which


def switched_on(key: int, before: PumpRules, term: Term, state: npt.NDArray[np.float64]) -> Iterator[Change]:
    """Yield the beginnings of what holds already where it now counts more: nobody has heard of it.

    `state` is the pump's at the term's first position.
    """
    for condition in DECIDED:
        was, is_ = before.standing(condition), term.rules.standing(condition)
        counts_more = is_ is not was and (is_ is Standing.TOLD or was is Standing.OFF)
        level = int(state[LEVEL_OF[condition]])
        if not counts_more or level == 0:
            continue
        at_ms = int(state[Field.READING_MS])
        change = Change(
            pump=key,
            condition=condition,
            turn=Turn.BEGAN,
            step=level,
            position=term.after,
            at_ms=at_ms,
            began_ms=int(state[SINCE_OF[condition]]),
            received_ms=at_ms,
        )
        yield replace(change, ruled=term.rules.ruled(change, term.rulebook_version))


def in_force_at(terms: Sequence[Term], position: int) -> Term:
    """By what the item after `position` is judged."""
    return _relevant(terms, position, position)[0]


def _relevant(terms: Sequence[Term], evaluated: int, until: int) -> Sequence[Term]:
    """From the term on in which the next item is, to the one that began last at `until` or before."""
    first = max((index for index, term in enumerate(terms) if term.after <= evaluated), default=0)
    return [term for index, term in enumerate(terms) if index == first or (index > first and term.after <= until)]
