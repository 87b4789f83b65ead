"""A pump that delivers while nothing is programmed."""

import numpy as np
import pytest

from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, SENSOR, Pumps, minutes_after, readings

HOUR = 60
CONDITION = "flow_while_stopped"


def stopped(flow_ml_d: np.ndarray | float, length: int, *, facts: object = SENSOR) -> Pumps:
    """An hour of running, then a stop in which the flow goes on."""
    pumps = Pumps(facts=facts)
    pumps.take(readings(HOUR))
    still = readings(length, program_ml_d=0.0, first_seq=HOUR, start_ms=NOON_MS + HOUR * MINUTE_MS, reservoir_ml=17.9)
    still["flow_ml_d"] = np.round(flow_ml_d, 4)
    pumps.take(still)
    return pumps


def counted_at_rest(minutes: int, seed: int) -> np.ndarray:
    """What a sensor counts while nothing moves: its counter never runs backwards."""
    draws, owed, seen = 0.02 * np.random.default_rng(seed).standard_normal(minutes), 0.0, np.zeros(minutes)
    for minute, draw in enumerate(draws):
        owed = draw + owed
        seen[minute], owed = max(owed, 0.0), float(np.clip(owed, -0.02, 0.0))
    return seen


@pytest.mark.parametrize("facts", [SENSOR, ROTOR])
@pytest.mark.parametrize(("flow_ml_d", "within_min"), [(0.4, 3), (0.1, 10), (0.05, 26)])
def test_it_shows_once_half_a_microlitre_went_beyond_the_noise(
    facts: object, flow_ml_d: float, within_min: int
) -> None:
    began = next(change for change in stopped(flow_ml_d, HOUR, facts=facts).turns if change.condition == CONDITION)
    assert minutes_after(began) - HOUR <= within_min
    assert began.began_ms == NOON_MS + (HOUR - 1) * MINUTE_MS
    assert began.evidence["delivered_ul"] >= 0.5


def test_a_sensor_at_rest_never_gets_there() -> None:
    pumps = stopped(counted_at_rest(20 * HOUR, 5), 20 * HOUR)
    assert CONDITION not in {condition for condition, _ in pumps.told}


def test_it_ends_half_an_hour_after_the_pump_stands_still_or_runs_again() -> None:
    flow = np.where(np.arange(3 * HOUR) < 30, 0.4, 0.0)
    pumps = stopped(flow, 3 * HOUR)
    ended = [change for change in pumps.turns if change.condition == CONDITION][1]
    assert minutes_after(ended) == HOUR + 29 + 30


def test_the_rest_of_a_bolus_and_the_last_of_the_program_are_no_flow_while_stopped() -> None:
    program = np.zeros(6 * HOUR)
    program[::90] = 30.0  # 21 µL in a minute, as a patient's boluses do it
    pumps = Pumps()
    pumps.take(readings(6 * HOUR, program_ml_d=program))
    assert CONDITION not in {condition for condition, _ in pumps.told}
