"""A batch: what one transaction writes, and what is left for the next."""

import numpy as np
import pytest

from service.core.fleet import Fleet, PumpEntry
from service.core.pipeline import Decisions, on_batch, publish, receipts_due
from service.core.reading import Items, position_of
from service.core.rulebook import DEFAULT_RULEBOOK
from tests.pumps import MINUTE_MS, NOON_MS, SENSOR, readings


@pytest.fixture
def fleet() -> Fleet:
    fleet = Fleet(DEFAULT_RULEBOOK)
    fleet.enter([PumpEntry(100 + number, f"p{number}", SENSOR) for number in range(4)])
    return fleet


def decided(fleet: Fleet, *parts: Items, now_ms: int = NOON_MS) -> Decisions:
    items = np.concatenate(parts)
    items["message"] = np.arange(len(items))
    decisions = on_batch(fleet, items, np.full(len(items), position_of(1, 0)), now_ms)
    publish(fleet, decisions)
    return decisions


def test_nothing_is_in_force_before_it_is_published(fleet: Fleet) -> None:
    before = fleet.state.copy()
    items = readings(90, flow=0.0)
    decisions = on_batch(fleet, items, np.full(1, position_of(1, 0)), NOON_MS)
    assert [change.condition for change in decisions.folded.changes] == ["stall"]
    assert (fleet.state == before).all()
    assert fleet.ledger.through[0] == -1
    publish(fleet, decisions)
    assert fleet.ledger.through[0] == position_of(1, 89)
    assert fleet.state[0].any()


def test_a_batch_decided_twice_comes_to_the_same(fleet: Fleet) -> None:
    items = readings(90, flow=0.0)
    once = on_batch(fleet, items.copy(), np.full(1, position_of(1, 0)), NOON_MS)
    again = on_batch(fleet, items.copy(), np.full(1, position_of(1, 0)), NOON_MS)
    assert once.folded.changes == again.folded.changes
    assert once.folded.state.tobytes() == again.folded.state.tobytes()


def test_changes_speak_of_the_database_key(fleet: Fleet) -> None:
    decisions = decided(fleet, readings(90, flow=0.0, pump=2))
    assert [change.pump for change in decisions.folded.changes] == [102]
    assert set(decisions.stored["pump"].tolist()) == {102}


def test_readings_beyond_a_hole_are_stored_and_not_evaluated(fleet: Fleet) -> None:
    decided(fleet, readings(10))
    decisions = decided(fleet, readings(10, first_seq=20, start_ms=NOON_MS + 20 * MINUTE_MS))
    assert len(decisions.stored) == 10
    assert fleet.ledger.evaluated[0] == position_of(1, 9)
    assert decisions.admission.holes_noticed == [0]
    closed = decided(fleet, readings(10, first_seq=10, start_ms=NOON_MS + 10 * MINUTE_MS))
    assert closed.admission.from_store == [0]
    assert fleet.ledger.through[0] == position_of(1, 29)


def test_duplicates_are_not_stored_and_are_told_again(fleet: Fleet) -> None:
    decided(fleet, readings(10))
    decisions = decided(fleet, readings(12))
    assert (len(decisions.stored), decisions.admission.duplicates, decisions.admission.repeated) == (2, 10, [0])


def test_of_each_pump_so_many_items_are_evaluated_at_once_and_what_is_left_after_them(fleet: Fleet) -> None:
    long, short = readings(200, flow=[1.0] * 90 + [0.0] * 110), readings(3, pump=1)
    items = np.concatenate([long, short])
    items["message"] = 0
    first = on_batch(fleet, items, np.full(1, position_of(1, 0)), NOON_MS, most_of_a_pump=64)
    publish(fleet, first)
    assert len(first.stored) == 203
    assert fleet.ledger.through[:2].tolist() == [position_of(1, 199), position_of(1, 2)]
    assert fleet.ledger.evaluated[:2].tolist() == [position_of(1, 63), position_of(1, 2)]
    assert first.left["position"].tolist() == long["position"][64:].tolist()
    fleet.behind[0] = True
    new = readings(2, first_seq=200, flow=0.0)
    new["message"] = 0
    no_limit = on_batch(fleet, new, np.full(1, position_of(1, 0)), NOON_MS, waiting=first.left)
    assert (len(no_limit.stored), no_limit.left["position"].tolist()) == (2, new["position"].tolist())
    publish(fleet, no_limit)
    assert fleet.ledger.evaluated[0] == position_of(1, 199)
    at_once = Fleet(DEFAULT_RULEBOOK)
    at_once.enter([PumpEntry(100, "p0", SENSOR)])
    decided(at_once, readings(200, flow=[1.0] * 90 + [0.0] * 110))
    assert fleet.state[0].tobytes() == at_once.state[0].tobytes()


def test_a_receipt_is_sent_at_most_every_ten_seconds(fleet: Fleet) -> None:
    decided(fleet, readings(10))
    assert receipts_due(fleet, [], NOON_MS) == [(0, 1, 9)]
    decided(fleet, readings(10, first_seq=10, start_ms=NOON_MS + 10 * MINUTE_MS))
    assert receipts_due(fleet, [], NOON_MS + 9_999) == []
    assert receipts_due(fleet, [], NOON_MS + 10_000) == [(0, 1, 19)]
    assert receipts_due(fleet, [], NOON_MS + 20_000) == [], "nothing new, nothing said"


def test_a_hole_is_told_at_once_and_again(fleet: Fleet) -> None:
    decided(fleet, readings(10))
    receipts_due(fleet, [], NOON_MS)
    holes = decided(fleet, readings(1, first_seq=20)).admission.holes_noticed
    assert receipts_due(fleet, holes, NOON_MS + 1_000) == [(0, 1, 9)]
    assert receipts_due(fleet, [], NOON_MS + 11_000) == [(0, 1, 9)]


def test_a_delayed_finding_is_held_until_the_pump_has_caught_up(fleet: Fleet) -> None:
    kept = readings(90, flow=0.0, start_ms=NOON_MS - 600 * MINUTE_MS)
    kept["received_ms"] = NOON_MS
    decisions = decided(fleet, kept)
    assert decisions.folded.changes[0].delayed
    assert (decisions.caught_up, fleet.held) == ([], {0})
    fresh = readings(1, flow=0.0, first_seq=90, start_ms=NOON_MS)
    assert decided(fleet, fresh).caught_up == [0]
    assert fleet.held == set()


def test_the_latest_reading_is_the_one_of_the_highest_position(fleet: Fleet) -> None:
    decided(fleet, readings(10))
    decided(fleet, readings(5, first_seq=3, reservoir_ml=1.0, start_ms=NOON_MS + 99 * MINUTE_MS))
    assert fleet.latest["position"][0] == position_of(1, 9)
    assert fleet.latest["reservoir_ml"][0] == pytest.approx(18, abs=0.01)
    assert fleet.heard_ms[0] == NOON_MS + 9 * MINUTE_MS + 200, "one that only repeats itself tells nothing"
