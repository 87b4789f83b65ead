"""The fold: what the readings say, whatever the batches they came in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.reading import EventType
from tests.histories import history
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, event, readings

PUMPS = 10
ROTORS = (5, 6)


def eventful_day() -> np.ndarray:
    """Ten pumps for twelve hours.

    Healthy, stalling, over- and under-delivering, running low with a refill, in an MRI and late to restart, fluttering,
    delivering while stopped, flowing freely, and one that reports each quarter of an hour.
    """
    noise = np.random.default_rng(11)
    minutes = 720
    flow = np.clip(1 + 0.15 * noise.standard_normal((PUMPS, minutes)), 0, None)
    flow[1, 200:300] = 0
    flow[2, 250:] *= 1.7
    flow[3, 250:] *= 0.6
    level = np.where(np.arange(minutes) < 400, 2.2 - np.arange(minutes) / 1440, 19.0)
    parts = [
        readings(minutes, flow=flow[pump], pump=pump, reservoir_ml=level if pump == 4 else None) for pump in range(5)
    ]
    parts[4]["position"][400:] += 1
    parts.append(event(EventType.REFILL, seq=400, value=19.0, pump=4, at_ms=NOON_MS + 399 * MINUTE_MS))

    flow[5, 101:350] = 0
    parts.append(history(flow[5].tolist(), (100, EventType.MRI_BEGAN), (140, EventType.MRI_ENDED), pump=5))
    for at in (100, 300, 500):
        flow[6, at : at + 3] = 0
    stall = (
        (500.5, EventType.DEVICE_ALARM_RAISED, "motor_stall"),
        (503.5, EventType.DEVICE_ALARM_CLEARED, "motor_stall"),
    )
    parts.append(history(flow[6].tolist(), *stall, pump=6))
    program = np.where((np.arange(minutes) > 97) & (np.arange(minutes) < 400), 0.0, 0.7)
    parts.append(history(flow[7].tolist(), pump=7, program_ml_d=program))
    parts[-1]["flow_ml_d"][120:180] = 0.3
    flow[8, 400:430] = 150.0
    parts.append(history(flow[8].tolist(), pump=8))
    parts.append(readings(48, flow=np.where(np.arange(48) < 20, 1.0, 0.4), pump=9, spacing_ms=15 * MINUTE_MS))
    items = np.concatenate(parts)
    return items[np.lexsort((items["position"], items["pump"]))]


DAY = eventful_day()


def ten_pumps() -> Pumps:
    pumps = Pumps(PUMPS)
    for rotor in ROTORS:
        pumps.limits[rotor] = Pumps(facts=ROTOR).limits[0]
    return pumps


@pytest.fixture(scope="module")
def in_one() -> Pumps:
    pumps = ten_pumps()
    pumps.take(DAY)
    return pumps


def test_the_day_has_every_kind_of_turn(in_one: Pumps) -> None:
    assert {
        "stall",
        "stall_flutter",
        "over_delivery_gross",
        "over_delivery",
        "under_delivery_gross",
        "under_delivery",
        "flow_while_stopped",
        "reservoir_low",
    } <= {condition for condition, _ in in_one.told}
    assert {("stall", "ended"), ("stall", "rose"), ("reservoir_low", "ended")} <= set(in_one.told)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), batches=st.integers(1, 200))
def test_the_same_readings_in_one_batch_or_hundreds_give_the_same_state_to_the_bit(
    in_one: Pumps, seed: int, batches: int
) -> None:
    """Each batch takes a random number of the next items of a random choice of pumps."""
    choice = np.random.default_rng(seed)
    queues = [DAY[DAY["pump"] == pump] for pump in range(PUMPS)]
    pumps = ten_pumps()
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
