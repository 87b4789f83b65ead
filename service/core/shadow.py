"""Which turns make alerts, and which are only recorded? A condition in shadow is found as ever, and nobody is told."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from service.core.change import Change, Condition, Standing, Turn

Key = tuple[str, Condition]
"""What the condition is about, and the condition."""


class Parted(NamedTuple):
    told: list[tuple[Key, Change]]
    shadowed: list[Change]


def part(turns: Iterable[tuple[Key, Change]], open_alerts: Collection[Key]) -> Parted:
    """Part `turns`, in their order, as their own rules say. What is told of goes on being told of, whatever changes.

    `open_alerts`: of what there is an alert before the first turn.
    """
    parted = Parted([], [])
    told_of = set(open_alerts)
    for key, turn in turns:
        standing = Standing.TOLD if turn.ruled is None else turn.ruled.standing
        if turn.turn is Turn.ENDED:
            told_of.discard(key)
            parted.told.append((key, turn))
            parted.shadowed.append(turn)
        elif standing is Standing.TOLD or (turn.turn is Turn.ROSE and key in told_of):
            told_of.add(key)
            parted.told.append((key, turn))
        elif standing is Standing.SHADOW:
            parted.shadowed.append(turn)
    return parted
