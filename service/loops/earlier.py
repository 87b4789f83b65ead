"""What of a batch is of boots that are over, and was never stored? Only the store can say."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import numpy as np

from service.core import boots
from service.core.clocks import FARTHEST_BACK_MS, Clocks, about_ms
from service.core.fleet import Fleet
from service.core.lifecycle import pump_time
from service.core.reading import Items
from service.logs import tell
from service.ports import IngestStore, Run

_AROUND: Final = timedelta(milliseconds=FARTHEST_BACK_MS)


async def never_stored(store: IngestStore, fleet: Fleet, items: Items) -> Mapping[int, set[int]]:
    """By row, the positions among `items` (sorted by row and position) of earlier boots that the store does not hold.

    One question a batch, whatever it holds, and none while every pump goes on in its boot.
    """
    rows = items["pump"].astype(np.intp)
    earlier = boots.earlier(fleet.ledger.through[rows], items["position"])
    if not earlier.any():
        return {}
    items, rows = items[earlier], rows[earlier]
    clocks = Clocks(fleet.offset_ms, fleet.ledger.highest, fleet.newest_ms, fleet.offsets)
    measured_ms = about_ms(items, rows, clocks)
    asked: dict[int, set[int]] = {}
    runs = []
    for row in np.unique(rows).tolist():
        own = rows == row
        positions = items["position"][own]
        asked[row] = set(positions.tolist())
        runs.append(
            Run(
                int(fleet.keys[row]),
                int(positions.min()),
                int(positions.max()),
                pump_time(int(measured_ms[own].min())) - _AROUND,
                pump_time(int(measured_ms[own].max())) + _AROUND,
            )
        )
    stored = await store.stored_among(runs)
    missing = {
        row: absent
        for row, positions in asked.items()
        if (absent := {each for each in positions if (int(fleet.keys[row]), each) not in stored})
    }
    if missing:
        tell("earlier_boots_completed", pumps=len(missing), items=sum(map(len, missing.values())))
    return missing
