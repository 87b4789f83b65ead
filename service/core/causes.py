"""Which alert of a pump tells of another one of it as well? A cause tells of its consequences, while it lasts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from service.core.alert import Alert
from service.core.change import Condition
from service.core.lifecycle import Move, inhibit, release

CAUSES: Final[Mapping[Condition, tuple[Condition, ...]]] = {
    Condition.STALL: (Condition.RESERVOIR_EMPTY,),
    Condition.UNDER_DELIVERY_GROSS: (Condition.RESERVOIR_EMPTY, Condition.STALL),
    Condition.UNDER_DELIVERY: (Condition.RESERVOIR_EMPTY, Condition.STALL),
    Condition.OVER_DELIVERY: (Condition.OVER_DELIVERY_GROSS,),
}
"""What explains a condition, the best explanation first."""

FAMILY: Final = frozenset(CAUSES) | {cause for causes in CAUSES.values() for cause in causes}

OUTLASTS_S: Final = 900.0
"""A consequence that goes on for so long after its cause is one of its own: then it is told of."""


def settle(active: Mapping[Condition, Alert], now: datetime) -> list[Move]:
    """Return what makes consequences untold while their cause tells of them. `active`: of one pump, of FAMILY.

    A cause that is less urgent than its consequence, or that nobody hears of, tells of nothing.
    """
    moves = []
    for condition, causes in CAUSES.items():
        alert = active.get(condition)
        if alert is None:
            continue
        candidates = [active[cause] for cause in causes if cause in active]
        fitting = [c for c in candidates if c.priority.rank >= alert.priority.rank and c.shelved_until is None]
        by = fitting[0].id if fitting else None
        if by == alert.inhibited_by:
            continue
        moves.append(release(alert, OUTLASTS_S, now) if by is None else inhibit(alert, by, now))
    return moves
