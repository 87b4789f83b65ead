"""Is a message of a boot that cannot be taken all the same? Where a person has accepted it; else it is kept aside."""

import numpy as np

from service.core import boots
from service.core.decode import Decoded, reject_impossible_boots
from service.core.fleet import Fleet
from service.core.reading import position_of
from service.ports import IngestStore


async def keep_impossible_aside(store: IngestStore, fleet: Fleet, decoded: Decoded) -> None:
    """One question where such a one comes, and none while every pump's boots are as they can be."""
    rows = decoded.items["pump"]
    through = fleet.ledger.through
    impossible = boots.impossible(through[rows], decoded.items["position"])
    if not impossible.any():
        return
    through = through.copy()
    concerned = np.unique(rows[impossible]).tolist()
    for key, boot in (await store.accepted_boots([int(fleet.keys[row]) for row in concerned])).items():
        row = fleet.row_of_key[key]
        through[row] = max(int(through[row]), position_of(boot, 0))
    reject_impossible_boots(decoded, through)
