"""Far above or below the program, from minute to minute."""

import numpy as np
import pytest

from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, minutes_after, readings

GROSS = {"over_delivery_gross", "under_delivery_gross"}


def first_gross(flow: np.ndarray, **about: object) -> tuple[str, float] | None:
    pumps = Pumps()
    pumps.take(readings(len(flow), flow=flow, **about))
    return next(((str(each.condition), minutes_after(each)) for each in pumps.turns if each.condition in GROSS), None)


@pytest.mark.parametrize(("share", "condition"), [(2.0, "over_delivery_gross"), (0.3, "under_delivery_gross")])
def test_a_gross_deviation_shows_in_three_readings(share: float, condition: str) -> None:
    flow = np.where(np.arange(180) < 120, 1.0, share)
    assert first_gross(flow) == (condition, 122)


def test_its_onset_is_the_first_step_that_was_far_off() -> None:
    pumps = Pumps()
    pumps.take(readings(180, flow=np.where(np.arange(180) < 120, 1.0, 2.0)))
    assert pumps.turns[0].began_ms == NOON_MS + 119 * MINUTE_MS


def test_half_as_much_again_shows_within_a_quarter_of_an_hour_through_the_noise() -> None:
    noise = 0.15 * np.random.default_rng(6).standard_normal((100, 240))
    flow = np.clip(np.where(np.arange(240) < 120, 1.0, 1.5) + noise, 0, None)
    pumps = Pumps(100)
    pumps.take(*(readings(240, flow=flow[pump], pump=pump) for pump in range(100)))
    delays = [minutes_after(change) - 119 for change in pumps.turns if change.condition in GROSS and change.step]
    assert len(delays) == 100
    assert np.median(delays) <= 15


@pytest.mark.parametrize("share", [1.4, 0.6])
def test_forty_per_cent_are_left_to_the_hours(share: float) -> None:
    assert first_gross(np.full(600, share)) is None


def test_a_free_flow_shows_in_one_reading() -> None:
    flow = np.ones(180)
    flow[120:122] = 200.0  # 69 µL in a minute
    assert first_gross(flow) == ("over_delivery_gross", 120)


def test_a_full_stall_is_no_gross_under_delivery() -> None:
    noise = np.clip(0.15 * np.random.default_rng(3).standard_normal(1440), 0, None)
    assert first_gross(np.where(np.arange(1440) < 120, 1.0, noise)) is None


def test_it_ends_after_half_an_hour_within_and_a_twitch_back_is_no_end() -> None:
    flow = np.ones(300)
    flow[100:110] = 2.0
    flow[120:123] = 2.0
    pumps = Pumps()
    pumps.take(readings(300, flow=flow))
    assert pumps.told == [("over_delivery_gross", "began"), ("over_delivery_gross", "ended")]
    assert minutes_after(pumps.turns[1]) == 122 + 30


def test_while_stopped_nothing_is_known_of_it_and_it_stays_open() -> None:
    program = np.full(300, 0.5)
    program[120:240] = 0.0
    pumps = Pumps()
    pumps.take(readings(300, flow=np.where(np.arange(300) < 110, 1.0, 2.0), program_ml_d=program))
    assert pumps.told == [("over_delivery_gross", "began")]


def test_a_rotor_shows_too_little_and_never_too_much() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(60, flow=3.0), readings(60, flow=0.4, first_seq=60, start_ms=NOON_MS + 60 * MINUTE_MS))
    assert pumps.told == [("under_delivery_gross", "began")]


@pytest.mark.parametrize("spacing_min", [5, 15])
def test_a_pump_that_reports_less_often_shows_it_in_three_readings_too(spacing_min: int) -> None:
    pumps = Pumps()
    flow = np.where(np.arange(100) < 50, 1.0, 2.0)
    pumps.take(readings(100, flow=flow, spacing_ms=spacing_min * MINUTE_MS))
    assert (pumps.turns[0].condition, minutes_after(pumps.turns[0])) == ("over_delivery_gross", 52 * spacing_min)


def test_what_a_pump_measures_no_longer_by_the_registry_is_over() -> None:
    pumps = Pumps()
    pumps.take(readings(200, flow=1.8))
    assert {("over_delivery_gross", "began"), ("over_delivery", "began")} <= set(pumps.told)
    pumps.limits = Pumps(facts=ROTOR).limits
    pumps.take(readings(100, first_seq=200, start_ms=NOON_MS + 200 * MINUTE_MS, reservoir_ml=17.0))
    assert {("over_delivery_gross", "ended"), ("over_delivery", "ended")} <= set(pumps.told)
