"""Is what came again the same as what came first? Otherwise it is kept aside: two speak as one pump, or its memory is
broken. The rules go by what came first.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from service.core import boots
from service.core.clocks import AHEAD_MS
from service.core.conflict import difference
from service.core.fleet import Fleet
from service.core.pipeline import Decisions
from service.core.reading import SEQ_BITS, boot_of, seq_of
from service.core.rejection import Reason, Rejection
from service.core.relearn import HORIZON
from service.ports import IngestStore, RawMessage

COMPARED_AT_ONCE: Final = 5_000
"""Of one batch, so that a storm of duplicates makes nobody wait; the others are taken to be the same."""

COMPARED_FOR_MS: Final = int(HORIZON.total_seconds() * 1000)
"""What is older may be compressed: to look up one reading of it takes a thousand apart."""


async def kept_aside(
    store: IngestStore, fleet: Fleet, messages: Sequence[RawMessage], decisions: Decisions
) -> list[tuple[RawMessage, Rejection]]:
    """The messages of a batch that show two speaking as one pump."""
    return await conflicting(store, fleet, messages, decisions) + going_on(fleet, messages, decisions)


def going_on(fleet: Fleet, messages: Sequence[RawMessage], decisions: Decisions) -> list[tuple[RawMessage, Rejection]]:
    """Those in which a boot goes on after a later one had begun. They are stored all the same: which of the two is the
    pump, nobody can tell from here.
    """
    items, rows = decisions.batch.items, decisions.batch.rows
    earlier = boots.earlier(fleet.ledger.through[rows], items["position"]) & decisions.admission.stored
    began_ms = fleet.latest["measured_ms"][rows]
    for row in set(rows[earlier].tolist()) & fleet.boot_began_ms.keys():
        began_ms[rows == row] = fleet.boot_began_ms[row]
    found = np.flatnonzero(earlier & (items["measured_ms"] > began_ms + AHEAD_MS))
    said = {int(items["message"][place]): place for place in found[::-1].tolist()}
    for row in decisions.admission.new_boots:
        own = rows == row
        newest = own & (items["position"] >> SEQ_BITS == decisions.admission.new_boots[row] >> SEQ_BITS)
        if newest.any():
            fleet.boot_began_ms[row] = int(items["measured_ms"][newest].min())
    return [
        (messages[index], Rejection(index, Reason.CONFLICTS_WITH_STORED, _goes_on(fleet, items[place], rows[place])))
        for index, place in said.items()
    ]


def _goes_on(fleet: Fleet, item: np.void, row: int) -> str:
    position, through = int(item["position"]), int(fleet.ledger.through[row])
    return f"boot {boot_of(position)} goes on at seq {seq_of(position)} although boot {boot_of(through)} had begun"


async def conflicting(
    store: IngestStore, fleet: Fleet, messages: Sequence[RawMessage], decisions: Decisions
) -> list[tuple[RawMessage, Rejection]]:
    """The messages of a batch that say other things in places that are taken. One question, and none where nothing came
    again.
    """
    if not decisions.admission.duplicates:
        return []
    items, stored = decisions.batch.items, decisions.admission.stored
    recent = items["received_ms"] - items["measured_ms"] < COMPARED_FOR_MS
    again = np.flatnonzero(~stored & recent)[:COMPARED_AT_ONCE]
    begins = np.r_[True, (items["pump"][1:] != items["pump"][:-1]) | (items["position"][1:] != items["position"][:-1])]
    first = np.maximum.accumulate(np.where(begins, np.arange(len(items)), 0))[again]
    in_batch = stored[first]
    # Of a pump whose clock was off the time that was made of it may have been another one before.
    untimed = {int(fleet.keys[row]) for row in fleet.offsets}
    known = await store.stored_as(items[again[~in_batch]], untimed) if not in_batch.all() else ()
    by_place = {(int(item["pump"]), int(item["position"])): item for item in known}
    said: dict[int, list[str]] = {}
    for place, before, is_in_batch in zip(again.tolist(), first.tolist(), in_batch.tolist(), strict=True):
        item = items[place]
        pump, position = int(item["pump"]), int(item["position"])
        theirs = items[before] if is_in_batch else by_place.get((pump, position))
        if theirs is not None and (how := difference(item, theirs, timed=pump not in untimed)):
            said.setdefault(int(item["message"]), []).append(f"boot {boot_of(position)}, seq {seq_of(position)}: {how}")
    return [
        (messages[index], Rejection(index, Reason.CONFLICTS_WITH_STORED, _line(each))) for index, each in said.items()
    ]


def _line(said: Sequence[str]) -> str:
    return f"{said[0]}; and {len(said) - 1} more of this message" if len(said) > 1 else said[0]
