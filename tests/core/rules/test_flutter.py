"""Short stops, again and again."""

import numpy as np
import pytest

from service.core.reading import EventType
from tests.histories import history, minutes
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, minutes_after

HOUR = 60
RAISED, CLEARED = EventType.DEVICE_ALARM_RAISED, EventType.DEVICE_ALARM_CLEARED


def with_stops(length: int, *stops: tuple[int, int]) -> list[float]:
    """Full flow but for the stops (from this minute, for so many)."""
    flow = np.ones(length)
    for at, lasts in stops:
        flow[at : at + lasts] = 0.0
    return flow.tolist()


def test_three_short_stops_in_a_day_are_flutter_once_the_third_is_over() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(with_stops(20 * HOUR, (2 * HOUR, 2), (9 * HOUR, 5), (18 * HOUR, 3))))
    (began,) = pumps.turns
    assert began.condition == "stall_flutter"
    assert minutes_after(began) == 18 * HOUR + 3
    assert began.began_ms == NOON_MS + (2 * HOUR - 1) * MINUTE_MS


@pytest.mark.parametrize(
    "stops",
    [
        [(HOUR, 2), (10 * HOUR, 2), (25 * HOUR + 1, 2)],  # a day and a minute
        [(HOUR, 2), (HOUR + 4, 2), (HOUR + 8, 2)],  # one stop that stutters
    ],
)
def test_stops_too_far_apart_or_too_near_are_none(stops: list[tuple[int, int]]) -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(with_stops(30 * HOUR, *stops)))
    assert pumps.turns == []


def test_it_ends_after_a_day_of_running_without_another() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(with_stops(60 * HOUR, (1 * HOUR, 2), (2 * HOUR, 2), (3 * HOUR, 2), (20 * HOUR, 2))))
    assert pumps.told == [("stall_flutter", "began"), ("stall_flutter", "ended")]
    assert minutes_after(pumps.turns[1]) == pytest.approx(44 * HOUR + 2, abs=2)


def test_what_the_pump_calls_a_stall_counts_once_with_or_without_flow_to_show_it() -> None:
    pumps = Pumps(facts=ROTOR)
    seen_too = ((2 * HOUR + 1.5, RAISED, "motor_stall"), (2 * HOUR + 3.5, CLEARED, "motor_stall"))
    unseen = (9 * HOUR + 0.5, RAISED, "motor_stall")
    pumps.take(history(with_stops(20 * HOUR, (2 * HOUR, 3), (9 * HOUR + 4, 2)), *seen_too, unseen))
    assert "stall_flutter" not in {condition for condition, _ in pumps.told}
    pumps.take(history(with_stops(20 * HOUR), (18 * HOUR, RAISED, "motor_stall")))
    later = history(with_stops(HOUR, (10, 2), (30, 2)), start_ms=NOON_MS + 20 * HOUR * MINUTE_MS)
    later["position"] += 20 * HOUR + 100
    pumps.take(later)
    assert ("stall_flutter", "began") in pumps.told


def test_steps_of_a_rotor_that_are_minutes_apart_at_a_small_rate_are_no_stops() -> None:
    """0.02 mL/d in steps of 0.25 µL: one in eighteen minutes."""
    flow = ([0.0] * 17 + [18.0]) * 80
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(flow, program_ml_d=0.02))
    assert pumps.turns == []


def test_a_sensor_s_noise_is_no_stop_though_a_minute_shows_no_flow() -> None:
    noise = np.random.default_rng(8)
    flow = np.clip(0.5 + 0.15 * noise.standard_normal(20 * HOUR), 0, None)
    flow[::50] = 0.0
    pumps = Pumps()
    pumps.take(history(flow.tolist()))
    assert "stall_flutter" not in {condition for condition, _ in pumps.told}


def test_a_sensor_shows_stops_of_five_minutes() -> None:
    pumps = Pumps()
    pumps.take(history(with_stops(20 * HOUR, (2 * HOUR, 6), (9 * HOUR, 6), (18 * HOUR, 6))))
    assert ("stall_flutter", "began") in pumps.told


def test_stopping_and_starting_the_program_is_no_flutter() -> None:
    program = np.full(10 * HOUR, 0.5)
    for at in (60, 180, 300, 420):
        program[at : at + 10] = 0.0
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(minutes((10 * HOUR, 1)), program_ml_d=program))
    assert pumps.turns == []
