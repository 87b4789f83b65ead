"""Which pumps does this ingester watch, and where is each of them? One row a pump, columns for everything."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from service.core.ledger import Ledger
from service.core.limits import LIMITS_ROW
from service.core.reading import ITEM, Items
from service.core.rulebook import PumpFacts, Rulebook
from service.core.state import FIELDS

NEVER: Final = 0


class PumpEntry(NamedTuple):
    """What the registry says of one pump; `key` is its row number in the database."""

    key: int
    pump_id: str
    facts: PumpFacts


class Fleet:
    """The pumps in memory. A pump's row number here is for life; nothing here is true that is not committed."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.rulebook = rulebook
        self.delayed_after_ms = rulebook.limit("announce", "delayed_after_s") * 1000
        self.row_of: dict[bytes, int] = {}
        self.row_of_key: dict[int, int] = {}
        self.pump_ids: list[str] = []
        self.facts: list[PumpFacts] = []
        self.keys = np.zeros(0, np.int32)
        self.limits = np.zeros(0, LIMITS_ROW)
        self.state = np.zeros((0, FIELDS))
        self.ledger = Ledger(0)
        self.offset_ms = np.zeros(0, np.int64)
        self.newest_ms = np.zeros(0, np.int64)  # the newest pump time evaluated or recovered
        self.latest = np.zeros(0, ITEM)  # the newest reading of each pump
        self.heard_ms = np.zeros(0, np.int64)  # our time of the newest message
        self.unsaved = np.zeros(0, np.bool_)  # heard since pump_latest was last written
        self.receipted = np.zeros(0, np.int64)
        self.receipted_ms = np.zeros(0, np.int64)
        self.checkpointed = np.zeros(0, np.int64)  # evaluated position of the last checkpoint
        self.checkpointed_ms = np.zeros(0, np.int64)
        self.held: set[int] = set()  # rows with a delayed finding that is not announced yet

    def __len__(self) -> int:
        return len(self.pump_ids)

    def enter(self, entries: Sequence[PumpEntry]) -> None:
        """Add pumps, or take over what the registry now says of known ones."""
        new = [entry for entry in entries if entry.key not in self.row_of_key]
        if new:
            self._grow(len(self) + len(new))
            for entry in new:
                row = len(self.pump_ids)
                self.pump_ids.append(entry.pump_id)
                self.facts.append(entry.facts)
                self.row_of[entry.pump_id.encode()] = row
                self.row_of_key[entry.key] = row
                self.keys[row] = entry.key
        rows: dict[PumpFacts, Items] = {}
        for entry in entries:
            # Few kinds of pump are many: what differs from pump to pump is not a reason to look every limit up again.
            kind = entry.facts._replace(bolus_daily_cap_ul=0.0, implanted_ms=math.nan)
            if kind not in rows:
                rows[kind] = self.rulebook.limits_row(kind)
            row = self.row_of_key[entry.key]
            self.facts[row] = entry.facts
            self.limits[row] = rows[kind][0]
            self.limits["bolus_daily_cap_ul"][row] = entry.facts.bolus_daily_cap_ul
            self.limits["implanted_ms"][row] = entry.facts.implanted_ms

    def _grow(self, pumps: int) -> None:
        added = pumps - len(self)
        for name in (
            "keys",
            "limits",
            "offset_ms",
            "newest_ms",
            "latest",
            "heard_ms",
            "unsaved",
            "receipted",
            "receipted_ms",
            "checkpointed",
            "checkpointed_ms",
        ):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(added, column.dtype)]))
        self.state = np.concatenate([self.state, np.zeros((added, FIELDS))])
        self.receipted[-added:] = self.checkpointed[-added:] = -1
        self.latest["position"][-added:] = -1
        self.ledger.grow(pumps)
