"""A battery falls slowly, then has its knee, and lasts as long as published pumps do."""

import numpy as np
import pytest

from simulators.battery import REPLACE_SOON_V, replaced_after_s, used_after, voltage
from tests.simulators.bench import DAY_MS, pumps, run

YEAR_S = 365.25 * 86400


@pytest.mark.parametrize("rate_ml_d", [0.006, 0.2, 0.5, 0.8, 1.5])
def test_a_pump_lasts_four_to_seven_years_by_its_rate(rate_ml_d: float) -> None:
    """Published: typically five to seven years, never more than seven, mean to exchange 55 months in one series."""
    years = replaced_after_s(rate_ml_d) / YEAR_S
    assert 3.8 < years <= 7 - 90 / 365.25
    volts = voltage(np.array([used_after(years * YEAR_S, rate_ml_d)]), np.array([rate_ml_d]))
    assert volts[0] == pytest.approx(REPLACE_SOON_V, abs=1e-3) or volts[0] > REPLACE_SOON_V


def test_the_voltage_stays_on_its_plateau_for_years_and_then_falls_within_months() -> None:
    volts = run(pumps(1, full_ml=4000.0), 2350, DAY_MS).battery_v[:, 0]

    assert volts[0] == pytest.approx(3.1, abs=0.01)
    assert volts[365] > 3.0
    assert 2.75 < volts[1800] < 2.95
    assert volts[2300] < 2.6
    assert volts[:1800].mean() - volts[1800] < 3 * (volts[1800] - volts[2349])


def test_drain_empties_it_sooner_and_a_bolus_sags_under_its_current() -> None:
    drained, healthy, pulsed = pumps(1, full_ml=400.0), pumps(1, full_ml=400.0), pumps(1, 6.0, full_ml=400.0)
    fast = run(drained, 500, DAY_MS, drain=4.0).battery_v[-1, 0]
    slow = run(healthy, 500, DAY_MS).battery_v[-1, 0]
    for each in (healthy, pulsed):
        each.battery.used[:] = 0.9
    sagging = run(pulsed, 1).battery_v[0, 0]

    assert fast < slow - 0.2
    assert sagging < run(healthy, 1).battery_v[0, 0] - 0.1


def test_its_noise_is_three_millivolts_and_serves_pairs_of_steps_alike() -> None:
    fleet = pumps(200)
    noise = run(fleet, 401).battery_v - fleet.battery.advance(0.0, np.full((1, 200), 0.5), np.ones((1, 200)))

    assert noise.std() == pytest.approx(0.003, rel=0.05)
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.02
