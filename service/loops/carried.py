"""What is left over of long messages, so that no batch takes long? It is evaluated before what comes after it."""

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.decode import Decoded
from service.core.reading import ITEM, MAX_READINGS_A_MESSAGE, Items
from service.ports import RawMessage

MOST_OF_A_PUMP: Final = 2 * MAX_READINGS_A_MESSAGE
"""What a pump's own backlog counts for at most: it makes no other pump wait."""


class Carried:
    """Messages of which a part was left for the next batch: they are settled when their last item is committed."""

    def __init__(self) -> None:
        self.messages: list[RawMessage] = []
        self.items: Items = np.zeros(0, ITEM)
        self.held_from: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.ends_ms: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.bodies: dict[int, bytes] = {}

    @property
    def share(self) -> int:
        """How many items are carried over, no pump counting for more than its share."""
        return int(np.minimum(np.bincount(self.items["pump"]), MOST_OF_A_PUMP).sum()) if len(self.items) else 0

    def put_before(self, messages: list[RawMessage], decoded: Decoded) -> list[RawMessage]:
        """Put what was carried in front of a new batch."""
        if not self.messages:
            return messages
        count = len(self.messages)
        decoded.items["message"] += count
        decoded.items = np.concatenate([self.items, decoded.items])
        decoded.held_from = np.concatenate([self.held_from, decoded.held_from])
        decoded.ends_ms = np.concatenate([self.ends_ms, decoded.ends_ms])
        decoded.bodies = self.bodies | {index + count: body for index, body in decoded.bodies.items()}
        decoded.rejections = [replace(rejected, message=rejected.message + count) for rejected in decoded.rejections]
        return self.messages + messages

    def keep(self, messages: list[RawMessage], decoded: Decoded, later: Items) -> None:
        """Keep `later`, what one batch was not to evaluate; `pump` is still the fleet's row there."""
        kept = np.unique(later["message"])
        place = np.zeros(len(messages), np.int32)
        place[kept] = np.arange(len(kept))
        self.messages = [messages[index] for index in kept]
        self.held_from = decoded.held_from[kept]
        self.ends_ms = decoded.ends_ms[kept]
        self.bodies = {int(place[index]): body for index, body in decoded.bodies.items() if index in set(kept.tolist())}
        self.items = later
        self.items["message"] = place[later["message"]]
