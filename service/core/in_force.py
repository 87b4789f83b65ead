"""By which limits is each reading judged? By those that were in force for its pump at its position.

A change of rulebook or registry takes effect at a position of each pump: what was evaluated before stays as it was
judged, also when it is folded again after a crash or since something came late.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from service.core.change import Change, Standing, Turn
from service.core.evaluate import fold
from service.core.fleet import Fleet
from service.core.pipeline import Folded, starts_of
from service.core.pump_rules import PumpRules, Term
from service.core.reading import Items
from service.core.state import DECIDED, LEVEL_OF, SINCE_OF, Field


def fold_terms(fleet: Fleet, items: Items, rows: npt.NDArray[np.intp], history: Mapping[int, Sequence[Term]]) -> Folded:
    """Fold `items` (sorted by pump and position) onto copies of the pumps' states, each under the limits of its time.

    `history` has the terms of each row, in order; the first holds from before the row's evaluated position on, the
    last is in force in the fleet.
    """
    starts = starts_of(rows)
    touched = rows[starts]
    state, evaluated = fleet.state[touched], fleet.ledger.evaluated[touched]
    local = np.repeat(np.arange(len(touched)), np.diff(np.r_[starts, len(rows)]))
    terms = [_relevant(history[int(row)], int(at)) for row, at in zip(touched, evaluated, strict=True)]
    which = np.zeros(len(items), np.intp)
    for index, (own, first, last) in enumerate(zip(terms, starts, np.r_[starts[1:], len(rows)], strict=False)):
        if len(own) > 1:
            afters = np.array([term.after for term in terms[index]], np.int64)
            which[first:last] = np.searchsorted(afters, items["position"][first:last], side="left") - 1
    changes: list[Change] = []
    limits = fleet.limits.take(touched)
    for number in range(max(map(len, terms), default=0)):
        for index, own in enumerate(terms):
            if number < len(own):
                if own[number] is not history[int(touched[index])][-1]:
                    own[number].fill(limits[index : index + 1])
                elif len(own) > 1:
                    limits[index] = fleet.limits[touched[index]]
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
    return _relevant(terms, position)[0]


def _relevant(terms: Sequence[Term], evaluated: int) -> Sequence[Term]:
    """From the term on in which the next item is."""
    first = max((index for index, term in enumerate(terms) if term.after <= evaluated), default=0)
    return terms[first:]
