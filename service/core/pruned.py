"""What of a pump is remembered no longer, or not taken, since only so much is? For counting: nothing goes unseen."""

from collections import Counter
from enum import StrEnum

import numpy as np

from service.core.clocks import MOST_OFFSETS
from service.core.fleet import Fleet
from service.core.pipeline import Decisions
from service.core.sequence import MOST_SPANS
from service.core.spans import find


class Pruned(StrEnum):
    CLOCK_OFFSETS = "clock_offsets"  # what comes late of before them is dated as if its boot were new
    LOST_SPANS = "lost_spans"  # what comes of them after all is taken for a duplicate
    BEYOND_HOLES = "beyond_holes"  # items that would have made one hole more: the pump keeps them and sends them again


def pruned(fleet: Fleet, decisions: Decisions) -> Counter[Pruned]:
    """How much of each, by decisions that are not in force yet."""
    found: Counter[Pruned] = Counter()
    for row, new in Counter(offset.row for offset in decisions.offsets).items():
        found[Pruned.CLOCK_OFFSETS] += max(0, len(fleet.offsets.get(row, ())) + new - MOST_OFFSETS)
    batch, stored = decisions.batch, decisions.admission.stored
    for row, after in decisions.admission.accounts.items():
        before = fleet.ledger.account(row)
        if len(after.lost) >= MOST_SPANS:
            found[Pruned.LOST_SPANS] += sum(span < after.lost[0] for span in before.lost)
        if len(after.islands) >= MOST_SPANS:
            left = batch.items["position"][(batch.rows == row) & ~stored]
            islands = list(after.islands)
            found[Pruned.BEYOND_HOLES] += sum(
                position > after.through and find(islands, position) is None for position in np.unique(left).tolist()
            )
    return +found
