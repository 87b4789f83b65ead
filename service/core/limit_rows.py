"""What are the limits of each pump of a fleet? Few kinds of pumps have limits of their own; the facts are every pump's.

A row of LIMITS_ROW is most of a kilobyte: a hundred thousand of them would be as large as what the rules remember.
"""

from collections.abc import Sequence
from typing import Final, overload

import numpy as np
import numpy.typing as npt

from service.core.limits import LIMITS_ROW
from service.core.pump_rules import Term
from service.core.reading import Items
from service.core.rulebook import FACTS

_NAMES: Final = [name for name in LIMITS_ROW.names or () if name not in FACTS]


class LimitRows:
    """An array of LIMITS_ROW to whoever reads it, a row a pump."""

    def __init__(self) -> None:
        self._kinds = np.zeros(1, LIMITS_ROW)  # the first: of pumps that nothing is in force for
        self._kind_of: dict[tuple[float, ...], int] = {}
        self._kind = np.zeros(0, np.int32)
        self._facts = np.zeros((0, len(FACTS)))

    def grow(self, pumps: int) -> None:
        added = pumps - len(self._kind)
        self._kind = np.concatenate([self._kind, np.zeros(added, np.int32)])
        self._facts = np.concatenate([self._facts, np.zeros((added, len(FACTS)))])

    def take(self, rows: npt.NDArray[np.intp]) -> Items:
        """A copy of these rows."""
        found = self._kinds.take(self._kind[rows])
        for index, name in enumerate(FACTS):
            found[name] = self._facts[rows, index]
        return found

    @overload
    def __getitem__(self, which: str) -> npt.NDArray[np.float64]: ...
    @overload
    def __getitem__(self, which: int) -> np.void: ...
    def __getitem__(self, which: str | int) -> npt.NDArray[np.float64] | np.void:
        """One limit or fact of every pump, or one pump's row; a copy."""
        if isinstance(which, str):
            if which in FACTS:
                return self._facts[:, FACTS.index(which)].copy()
            return np.asarray(self._kinds[which].take(self._kind), np.float64)
        row: np.void = self.take(np.array([which], np.intp))[0]
        return row

    def facts_of(self, row: int) -> npt.NDArray[np.float64]:
        """In the order of FACTS."""
        return np.asarray(self._facts[row].copy())

    def adopt(self, rows: Sequence[int], term: Term) -> None:
        """These limits are in force for the pumps of these rows; the facts are told one by one (`know`)."""
        values = tuple(term.rules.limits[name] for name in _NAMES)
        if values not in self._kind_of:
            kind = np.zeros(1, LIMITS_ROW)
            for name, value in zip(_NAMES, values, strict=True):
                kind[name] = value
            self._kind_of[values] = len(self._kinds)
            self._kinds = np.concatenate([self._kinds, kind])
        self._kind[list(rows)] = self._kind_of[values]

    def know(self, rows: Sequence[int], facts: Sequence[Sequence[float]]) -> None:
        """What the registry says of these pumps, each in the order of FACTS."""
        self._facts[list(rows)] = facts
