"""What becomes of a batch of which the store refuses some items? It goes on without them, and they are kept aside."""

from collections.abc import Sequence

import numpy as np

from service.core.decode import Decoded
from service.core.fleet import Fleet
from service.core.rejection import Rejection
from service.ports import RawMessage, Refused

# What an item says, beside where and when.
_SAID = (
    "kind",
    "mode",
    "code",
    "program_ml_d",
    "flow_ml_d",
    "reservoir_ml",
    "battery_v",
    "delivered_ul",
    "value",
    "second",
)


def go_on_without(
    decoded: Decoded, messages: Sequence[RawMessage], fleet: Fleet, refused: Sequence[Refused]
) -> list[tuple[RawMessage, Rejection]]:
    """Take `refused` out of `decoded`, and return why, with the messages in which they came.

    Where something else is stored in an item's place, the store's word stands: the rules go by what is stored. Where
    nothing is, a hole is left as by any reading that cannot be understood; the pump gives it up after a few tries.
    """
    by_place = {(fleet.row_of_key[one.key], one.position): one for one in refused}
    items = decoded.items
    kept = np.ones(len(items), np.bool_)
    rejections = []
    for place in np.flatnonzero(np.isin(items["position"], [one.position for one in refused])).tolist():
        one = by_place.get((int(items["pump"][place]), int(items["position"][place])))
        if one is None:
            continue
        message = int(items["message"][place])
        rejections.append((messages[message], Rejection(message, one.reason, one.detail)))
        if one.stored is None:
            kept[place] = False
            continue
        for name in _SAID:
            items[name][place] = one.stored[name]
    decoded.items = items[kept]
    return rejections
