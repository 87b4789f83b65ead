"""The sensors' noise is as decided before rules and score were tuned, and measured here as a laboratory would."""

import numpy as np
import pytest

from simulators.sensors import LEVEL_DRIFT_SD_ML, LEVEL_SD_ML
from tests.simulators.bench import HOUR_MS, pumps, run


@pytest.mark.parametrize("tau_h", [6, 24])
def test_flow_noise_is_white_fifteen_percent_and_a_drift_of_three_percent(tau_h: float) -> None:
    fleet = pumps(600, sensor=True, full_ml=40.0, drift_tau_s=tau_h * 3600.0)
    error = run(fleet, 48 * 60).flow_ml_d / 0.5 - 1

    def shared(minutes: int) -> float:
        return float((error[:-minutes] * error[minutes:]).mean())

    assert error.std() == pytest.approx(np.hypot(0.15, 0.03), rel=0.01)
    assert shared(1) == pytest.approx(0.03**2, rel=0.15)
    tau_measured_h = 6 / np.log(shared(1) / shared(361))
    assert tau_measured_h == pytest.approx(tau_h, rel=0.3)


def test_hourly_means_have_the_drift_and_an_eighth_of_the_white_noise() -> None:
    hourly = run(pumps(600, sensor=True), 48, HOUR_MS).flow_ml_d / 0.5 - 1

    assert hourly.std() == pytest.approx(np.hypot(0.15 / np.sqrt(60), 0.03), rel=0.03)


def test_noise_is_at_least_two_hundredths_of_a_millilitre_a_day() -> None:
    flow = run(pumps(200, 0.1, sensor=True, full_ml=40.0), 600).flow_ml_d

    assert flow.std() == pytest.approx(np.hypot(0.02, 0.003), rel=0.02)


def test_the_mean_of_noisy_seconds_is_that_of_minutes_although_no_reading_is_below_zero() -> None:
    seconds = run(pumps(400, sensor=True, bias=0.05), 1200, 1000).flow_ml_d
    minutes = seconds.reshape(20, 60, -1).mean(axis=1)

    assert seconds.min() == 0.0
    assert minutes.mean() / 0.5 == pytest.approx(1.05, abs=0.01)
    assert (minutes / 0.5).std() == pytest.approx(np.hypot(0.15, 0.03), rel=0.05)


def test_a_stalled_pump_shows_next_to_no_flow_and_shows_it_again_at_once() -> None:
    fleet = pumps(200, sensor=True)
    stalled = run(fleet, 600, advance=0.0).flow_ml_d
    again = run(fleet, 3).flow_ml_d

    assert stalled.mean() < 0.05 * 0.5
    assert again.mean(axis=1)[1:] == pytest.approx(0.5, rel=0.05)


def test_the_level_is_the_true_one_with_noise_of_which_half_is_correlated() -> None:
    fleet = pumps(400, sensor=True, bias=0.1)
    level = run(fleet, 20 * 24, HOUR_MS).reservoir_ml
    error = level - (20.0 - 0.55 * np.arange(1, 481) / 24)[:, None]

    assert error.mean() == pytest.approx(0.0, abs=0.005)
    assert error.std() == pytest.approx(np.hypot(LEVEL_SD_ML, LEVEL_DRIFT_SD_ML), rel=0.03)
    lagged = float((error[:-12] * error[12:]).mean())
    assert lagged == pytest.approx(LEVEL_DRIFT_SD_ML**2 * np.exp(-1), rel=0.15)
