"""What is remembered no longer, or not taken for want of room, is counted by what it was."""

import numpy as np
import pytest

from service.core.clocks import MOST_OFFSETS
from service.core.fleet import Fleet, PumpEntry
from service.core.pipeline import on_batch, publish
from service.core.pruned import Pruned, pruned
from service.core.reading import EventType, Items, position_of
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.sequence import MOST_SPANS
from tests.pumps import NOON_MS, ROTOR, event, readings


@pytest.fixture
def fleet() -> Fleet:
    fleet = Fleet(DEFAULT_RULEBOOK)
    fleet.enter([PumpEntry(7, "p", ROTOR)])
    return fleet


def at(seq: int) -> Items:
    return readings(1, first_seq=seq, start_ms=NOON_MS + seq)


def counted(fleet: Fleet, *items: Items, held_from: int = 0) -> dict[Pruned, int]:
    """What is counted of these, each in a message of its own; they are taken then."""
    batch = np.concatenate(items)
    batch["message"] = np.arange(len(batch))
    decisions = on_batch(fleet, batch, np.full(len(batch), position_of(1, held_from)), NOON_MS + 1_000_000)
    found = dict(pruned(fleet, decisions))
    publish(fleet, decisions)
    return found


def test_what_would_make_one_hole_too_many_is_counted_and_what_is_known_is_not(fleet: Fleet) -> None:
    holes = [at(2 * number) for number in range(MOST_SPANS + 1)]
    assert counted(fleet, *holes) == {}
    assert counted(fleet, at(2), at(4), at(2 * MOST_SPANS + 1)) == {}
    assert counted(fleet, at(2), at(10_000), at(20_000)) == {Pruned.BEYOND_HOLES: 2}


def test_lost_spans_that_are_forgotten_are_counted(fleet: Fleet) -> None:
    for number in range(MOST_SPANS + 1):
        assert counted(fleet, at(2 * number), held_from=2 * number) == {}
    assert counted(fleet, at(10_000), held_from=10_000) == {Pruned.LOST_SPANS: 1}


def test_offsets_of_a_clock_that_are_forgotten_are_counted(fleet: Fleet) -> None:
    ahead_ms = NOON_MS + 10**10
    sets = [
        event(EventType.CLOCK_SET, seq=seq, value=0.0, at_ms=ahead_ms + seq * 10**9) for seq in range(MOST_OFFSETS + 3)
    ]
    for each in sets:
        each["received_ms"] = NOON_MS
    assert counted(fleet, *sets[:MOST_OFFSETS]) == {}
    assert counted(fleet, *sets[MOST_OFFSETS:]) == {Pruned.CLOCK_OFFSETS: 3}
