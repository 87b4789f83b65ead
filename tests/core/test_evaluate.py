"""The fold: what the readings say, whatever the batches they came in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.reading import EventType
from tests.pumps import MINUTE_MS, NOON_MS, Pumps, event, readings

PUMPS = 5


def eventful_day() -> np.ndarray:
    """Five pumps for twelve hours: healthy, stalling, over- and under-delivering, running low with a refill."""
    noise = np.random.default_rng(11)
    minutes = 720
    flow = np.clip(1 + 0.15 * noise.standard_normal((PUMPS, minutes)), 0, None)
    flow[1, 200:300] = 0
    flow[2, 250:] *= 1.7
    flow[3, 250:] *= 0.6
    level = np.where(np.arange(minutes) < 400, 2.2 - np.arange(minutes) / 1440, 19.0)
    parts = [
        readings(minutes, flow=flow[pump], pump=pump, reservoir_ml=level if pump == 4 else 18.0)
        for pump in range(PUMPS)
    ]
    parts[4]["position"][400:] += 1
    parts.append(event(EventType.REFILL, seq=400, value=19.0, pump=4, at_ms=NOON_MS + 399 * MINUTE_MS))
    items = np.concatenate(parts)
    return items[np.lexsort((items["position"], items["pump"]))]


DAY = eventful_day()


@pytest.fixture(scope="module")
def in_one() -> Pumps:
    pumps = Pumps(PUMPS)
    pumps.take(DAY)
    return pumps


def test_the_day_has_every_kind_of_turn(in_one: Pumps) -> None:
    assert {condition for condition, _ in in_one.told} == {
        "stall",
        "over_delivery_gross",
        "over_delivery",
        "under_delivery",
        "reservoir_low",
    }
    assert {("stall", "ended"), ("reservoir_low", "ended")} <= set(in_one.told)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), batches=st.integers(1, 400))
def test_the_same_readings_in_one_batch_or_hundreds_give_the_same_state_to_the_bit(
    in_one: Pumps, seed: int, batches: int
) -> None:
    """Each batch takes a random number of the next items of a random choice of pumps."""
    choice = np.random.default_rng(seed)
    queues = [DAY[DAY["pump"] == pump] for pump in range(PUMPS)]
    pumps = Pumps(PUMPS)
    while any(len(queue) for queue in queues):
        parts = []
        for pump in range(PUMPS):
            count = int(choice.integers(0, 1 + 3 * len(DAY) // (batches * PUMPS)))
            parts.append(queues[pump][:count])
            queues[pump] = queues[pump][count:]
        pumps.take(*parts)
    assert pumps.state.tobytes() == in_one.state.tobytes()
    assert pumps.evaluated.tolist() == in_one.evaluated.tolist()
    key = lambda change: (change.position, change.pump, change.condition)  # noqa: E731
    assert sorted(pumps.turns, key=key) == sorted(in_one.turns, key=key)


def test_an_alert_keeps_the_limits_and_the_reading_that_decided(in_one: Pumps) -> None:
    stall = next(change for change in in_one.turns if change.condition == "stall")
    assert stall.evidence["limit_missed_ul"] == 10
    assert stall.evidence["flow_ml_d"] == 0
    assert stall.evidence["program_ml_d"] == 0.5


def test_a_reading_received_long_after_it_was_measured_is_delayed() -> None:
    kept = readings(120, flow=0.0)
    kept["received_ms"] = NOON_MS + 120 * MINUTE_MS
    assert [change.delayed for change in Pumps().take(kept)] == [True]
    assert [change.delayed for change in Pumps().take(readings(120, flow=0.0))] == [False]


def test_nothing_follows_from_nothing() -> None:
    assert Pumps().take(DAY[:0]) == []
