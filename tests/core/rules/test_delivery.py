"""The flow differs from the program: grossly, or for hours."""

import numpy as np
import pytest

from service.core.state import Field
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, minutes_after, readings

HOUR = 60


def with_flow_from(minute: int, flow: float, minutes: int, sigma: float = 0.0, seed: int = 0) -> np.ndarray:
    noise = sigma * np.random.default_rng(seed).standard_normal(minutes)
    return np.clip(np.where(np.arange(minutes) < minute, 1.0, flow) + noise, 0, None)


def test_half_as_much_again_for_three_minutes_is_gross() -> None:
    pumps = Pumps()
    pumps.take(readings(180, flow=with_flow_from(120, 1.7, 180)))
    began = pumps.turns[0]
    assert (began.condition, minutes_after(began)) == ("over_delivery_gross", 122)


def test_two_wild_minutes_are_nothing() -> None:
    flow = np.ones(300)
    flow[100:102] = 4.0
    pumps = Pumps()
    pumps.take(readings(300, flow=flow))
    assert pumps.turns == []


def test_at_small_rates_the_sensors_noise_floor_is_no_gross_over_delivery() -> None:
    pumps = Pumps()
    pumps.take(readings(300, program_ml_d=0.05, flow=2.2))  # 0.06 mL/d above: three times the noise floor
    assert "over_delivery_gross" not in {condition for condition, _ in pumps.told}


@pytest.mark.parametrize(("flow", "condition"), [(1.3, "over_delivery"), (0.7, "under_delivery")])
def test_thirty_per_cent_shows_within_the_second_whole_hour(flow: float, condition: str) -> None:
    pumps = Pumps()
    pumps.take(readings(10 * HOUR, flow=with_flow_from(4 * HOUR + 1, flow, 10 * HOUR)))
    (began,) = pumps.turns
    assert began.condition == condition
    assert minutes_after(began) == 6 * HOUR + 1
    assert began.began_ms == NOON_MS + 4 * HOUR * MINUTE_MS
    assert began.evidence["deviation"] == pytest.approx(flow - 1, abs=0.01)


@pytest.mark.parametrize("flow", [1.145, 0.855])
def test_a_bias_at_the_edge_of_the_tolerance_never_accumulates(flow: float) -> None:
    pumps = Pumps()
    pumps.take(readings(7 * 24 * HOUR, flow=with_flow_from(0, flow, 7 * 24 * HOUR, sigma=0.15, seed=3)))
    assert pumps.turns == []


def test_one_wild_hour_decides_nothing() -> None:
    flow = np.ones(12 * HOUR)
    flow[4 * HOUR + 1 : 5 * HOUR + 1] = 1.44
    pumps = Pumps()
    pumps.take(readings(12 * HOUR, flow=flow))
    assert pumps.turns == []


def test_sustained_delivery_ends_after_three_hours_within_reference() -> None:
    flow = np.ones(20 * HOUR)
    flow[2 * HOUR + 1 : 8 * HOUR + 1] = 0.6
    pumps = Pumps()
    pumps.take(readings(20 * HOUR, flow=flow))
    assert pumps.told == [("under_delivery", "began"), ("under_delivery", "ended")]
    assert minutes_after(pumps.turns[1]) == 11 * HOUR + 1


def test_a_full_stall_is_told_as_stall_and_not_as_under_delivery() -> None:
    pumps = Pumps()
    pumps.take(readings(24 * HOUR, flow=with_flow_from(4 * HOUR, 0.0, 24 * HOUR)))
    assert pumps.told == [("stall", "began")]


def test_a_rotor_shows_missed_steps_and_no_over_delivery() -> None:
    over, missed = Pumps(facts=ROTOR), Pumps(facts=ROTOR)
    over.take(readings(10 * HOUR, flow=with_flow_from(2 * HOUR, 1.8, 10 * HOUR)))
    missed.take(readings(10 * HOUR, flow=with_flow_from(2 * HOUR, 0.6, 10 * HOUR)))
    assert over.turns == []
    assert missed.told == [("under_delivery", "began")]


def test_an_hour_that_is_mostly_unheard_is_no_evidence() -> None:
    pumps = Pumps()
    pumps.take(readings(2 * HOUR))
    for hour in range(2, 10):  # twenty minutes of each hour, 40 positions missing
        pumps.take(readings(20, flow=0.6, first_seq=hour * HOUR, start_ms=NOON_MS + hour * HOUR * MINUTE_MS))
    assert pumps.turns == []


def test_a_change_of_program_within_the_hour_is_no_deviation() -> None:
    program = np.where(np.arange(10 * HOUR) % 97 < 40, 0.2, 1.1)
    pumps = Pumps()
    pumps.take(readings(10 * HOUR, program_ml_d=program))
    assert pumps.turns == []


def test_a_stalled_half_hour_is_no_under_delivery_of_its_hour() -> None:
    flow = np.ones(8 * HOUR)
    for hour in range(2, 6):
        flow[hour * HOUR + 20 : hour * HOUR + 30] = 0.0
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(8 * HOUR, flow=flow))
    assert "under_delivery" not in {condition for condition, _ in pumps.told}


def test_an_hour_in_which_nothing_is_heard_or_nothing_programmed_says_nothing_and_breaks_nothing() -> None:
    pumps = Pumps()
    pumps.take(readings(3 * HOUR, flow=0.6))
    pumps.take(readings(3 * HOUR, program_ml_d=0.0, first_seq=180, start_ms=NOON_MS + 5 * HOUR * MINUTE_MS))
    pumps.take(readings(2 * HOUR, flow=0.6, first_seq=360, start_ms=NOON_MS + 9 * HOUR * MINUTE_MS))
    assert [told for told in pumps.told if told[0] == "under_delivery"] == [("under_delivery", "began")]


def test_a_pump_whose_hours_spread_more_than_usual_is_judged_by_its_own_spread() -> None:
    hours = 24 * 21
    wild = 0.12 * np.random.default_rng(5).standard_normal(hours)
    pumps = Pumps()
    pumps.take(readings(hours * 4, flow=1 + np.clip(np.repeat(wild, 4), -0.2, 0.2), spacing_ms=15 * MINUTE_MS))
    assert pumps.state[0, Field.DEVIATION_SD] > 0.08
    assert "over_delivery" not in {condition for condition, _ in pumps.told}
    later = NOON_MS + hours * HOUR * MINUTE_MS
    pumps.take(readings(4 * 72, flow=1.44, first_seq=hours * 4, start_ms=later, spacing_ms=15 * MINUTE_MS))
    assert "over_delivery" in {condition for condition, _ in pumps.told}


def test_what_is_known_of_a_pump_s_noise_is_not_learned_from_a_fault() -> None:
    pumps = Pumps()
    pumps.take(readings(200 * 4, spacing_ms=15 * MINUTE_MS))
    before = pumps.state[0, Field.DEVIATION_SD]
    later = NOON_MS + 200 * 15 * 4 * MINUTE_MS
    pumps.take(readings(100 * 4, flow=1.4, first_seq=800, start_ms=later, spacing_ms=15 * MINUTE_MS))
    assert pumps.state[0, Field.DEVIATION_SD] == pytest.approx(before, rel=0.02)


@pytest.mark.parametrize(("minute", "hours"), [(10, 1), (50, 2)])
def test_what_a_rotor_misses_is_known_when_an_hour_ends_that_shows_it(minute: int, hours: int) -> None:
    pumps = Pumps(facts=ROTOR)
    onset = 4 * HOUR + minute
    pumps.take(readings(8 * HOUR, flow=with_flow_from(onset, 0.62, 8 * HOUR)))
    assert (pumps.turns[0].condition, minutes_after(pumps.turns[0])) == ("under_delivery", (4 + hours) * HOUR + 1)


def test_a_rotor_s_hour_decides_although_it_is_not_covered_to_the_last_second() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(8 * HOUR, flow=with_flow_from(4 * HOUR + 2, 0.62, 8 * HOUR), spacing_ms=59_990))
    assert pumps.turns[0].condition == "under_delivery"
    assert minutes_after(pumps.turns[0]) <= 5 * HOUR + 2


@pytest.mark.parametrize("rate_ml_d", [0.02, 0.05, 0.2])
def test_a_rotor_that_misses_a_twentieth_or_turns_in_steps_that_minutes_cannot_hold_misses_nothing(
    rate_ml_d: float,
) -> None:
    step_ul, minutes = 0.25, 20 * HOUR
    steps = np.floor(np.arange(minutes + 1) * rate_ml_d / 1.44 / step_ul)
    pumps = Pumps(2, facts=ROTOR)
    few = readings(minutes, program_ml_d=rate_ml_d)
    few["flow_ml_d"] = np.diff(steps) * step_ul * 1.44
    pumps.take(few, readings(minutes, flow=0.95, pump=1))
    assert pumps.turns == []
