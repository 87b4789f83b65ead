"""Is what came again the same as what came first? Otherwise it is kept aside: two speak as one pump, or its memory is
broken. The rules go by what came first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from time import monotonic
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from service.core import boots
from service.core.clocks import AHEAD_MS
from service.core.conflict import differ, difference, places_of
from service.core.fleet import Fleet
from service.core.pipeline import Decisions
from service.core.reading import SEQ_BITS, Items, boot_of, seq_of
from service.core.rejection import Reason, Rejection
from service.ports import IngestStore, RawMessage

LONGEST_S: Final = 1.0
"""Of one batch, so that a storm of duplicates holds nobody up. What is left is taken to be the same, and counted."""

QUICK_S: Final = 0.1


class Look(NamedTuple):
    """In what pieces: twice as much each time that was quick, and half as much each time that was not. The second is
    looked at between two of them.
    """

    apart: timedelta
    first: int
    most: int


SAME_TIME: Final = Look(timedelta(0), first=100, most=100_000)
"""Compressed, one may take a millisecond."""
MOVED: Final = Look(timedelta(days=1), first=10, most=500)
"""So far from its time a place is looked for where nothing is stored at that time. Each may take some milliseconds."""


class NotCompared(StrEnum):
    """Why something that came again was taken to be the same."""

    OUT_OF_TIME = "out_of_time"
    NOT_FOUND = "not_found"
    """Nothing is stored in its place any more, or under a time that is far from its own."""


class Aside(NamedTuple):
    """Messages of a batch that show two speaking as one pump; and how much came again that was not compared."""

    messages: list[tuple[RawMessage, Rejection]]
    not_compared: Mapping[NotCompared, int]


async def kept_aside(store: IngestStore, fleet: Fleet, messages: Sequence[RawMessage], decisions: Decisions) -> Aside:
    found = await conflicting(store, fleet, messages, decisions)
    return Aside(found.messages + going_on(fleet, messages, decisions), found.not_compared)


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


async def conflicting(store: IngestStore, fleet: Fleet, messages: Sequence[RawMessage], decisions: Decisions) -> Aside:
    """The messages of a batch that say other things in places that are taken. Nothing is asked where nothing came
    again.
    """
    if not decisions.admission.duplicates:
        return Aside([], {})
    items, stored = decisions.batch.items, decisions.admission.stored
    again = np.flatnonzero(~stored)
    begins = np.r_[True, (items["pump"][1:] != items["pump"][:-1]) | (items["position"][1:] != items["position"][:-1])]
    first = np.maximum.accumulate(np.where(begins, np.arange(len(items)), 0))[again]
    ours, known = items[again], _Known(items[first], stored[first])
    # Of a pump whose clock was off the time that was made of it may have been another one before.
    timed = ~np.isin(ours["pump"], [int(fleet.keys[row]) for row in fleet.offsets])
    ends_s = monotonic() + LONGEST_S
    left = await known.look(store, ours, ~known.found, SAME_TIME, ends_s)
    left |= await known.look(store, ours, ~known.found & ~left & timed, MOVED, ends_s)
    counts = {NotCompared.OUT_OF_TIME: int(left.sum()), NotCompared.NOT_FOUND: int((~known.found & ~left).sum())}
    differing = np.flatnonzero(known.found & differ(ours, known.items, timed))
    _, firsts, of_message = np.unique(ours["message"][differing], return_index=True, return_counts=True)
    said = []
    for place, count in zip(differing[firsts].tolist(), of_message.tolist(), strict=True):
        index, position = int(ours["message"][place]), int(ours["position"][place])
        how = difference(ours[place], known.items[place], timed=bool(timed[place]))
        more = f"; and {count - 1} more of this message" if count > 1 else ""
        line = f"boot {boot_of(position)}, seq {seq_of(position)}: {how}{more}"
        said.append((messages[index], Rejection(index, Reason.CONFLICTS_WITH_STORED, line)))
    return Aside(said, {reason: count for reason, count in counts.items() if count})


@dataclass(slots=True)
class _Known:
    """What has the places of ours, as far as it was found."""

    items: Items
    found: npt.NDArray[np.bool_]

    async def look(
        self, store: IngestStore, ours: Items, which: npt.NDArray[np.bool_], how: Look, ends_s: float
    ) -> npt.NDArray[np.bool_]:
        """Look into the store for those, in pieces; return for which of them there was no time."""
        places, at_once = np.flatnonzero(which), how.first
        while len(places) and (began_s := monotonic()) < ends_s:
            piece, places = places[:at_once], places[at_once:]
            stored = await store.stored_as(ours[piece], how.apart)
            there = places_of(ours[piece], stored)
            self.items[piece[there >= 0]] = stored[there[there >= 0]]
            self.found[piece[there >= 0]] = True
            quick = monotonic() - began_s < QUICK_S
            at_once = min(at_once * 2, how.most) if quick else max(at_once // 2, 1)
        left: npt.NDArray[np.bool_] = np.zeros(len(ours), np.bool_)
        left[places] = True
        return left
