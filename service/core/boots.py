"""Which items are of a boot that cannot be their pump's own, and which of one that is over?"""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.reading import SEQ_BITS

MOST_BOOTS_AHEAD: Final = 1_000
"""Restarts that can lie between two messages of a pump."""

Positions = npt.NDArray[np.int64]
Which = npt.NDArray[np.bool_]


def earlier(through: Positions, positions: Positions) -> Which:
    """Those before the boot that their pump has been heard in. `through`: the ledger's, an item; -1: never heard.

    What a boot ended with is unknowable, so only the store can say whether one of them is a duplicate.
    """
    found: Which = (through >= 0) & (positions >> SEQ_BITS < through >> SEQ_BITS)
    return found


def impossible(through: Positions, positions: Positions) -> Which:
    """Those so many restarts ahead of all that was heard of their pump that they cannot be its own.

    Believing one would make everything that the pump goes on to say belong to an earlier boot.
    """
    found: Which = (through >= 0) & (positions >> SEQ_BITS > (through >> SEQ_BITS) + MOST_BOOTS_AHEAD)
    return found
