"""The bounds against what is published."""

import math

import numpy as np
import pytest

from simulators.bounds import (
    decision_for,
    effective_sd,
    rate_limits,
    run_length,
    shift_delay_h,
    stall_delay_h,
    upper_rate,
)


@pytest.mark.parametrize(
    ("decision", "mean", "published"),
    # Montgomery, Introduction to Statistical Quality Control: the tabular CUSUM (one side runs twice as long as two).
    [(4.0, 0.0, 336), (5.0, 0.0, 930), (4.0, 1.0, 8.38), (5.0, 1.0, 10.4), (5.0, 2.0, 4.01), (4.0, 2.0, 3.34)],
)
def test_run_lengths_are_the_published_ones(decision: float, mean: float, published: float) -> None:
    assert run_length(0.5, decision, mean) == pytest.approx(published, rel=0.01)


def test_a_simulated_cusum_runs_as_long_as_the_equation_says() -> None:
    noise = np.random.default_rng(5)
    runs, total, length = 4_000, np.zeros(4_000), np.zeros(4_000)
    running = np.ones(runs, bool)
    while running.any():
        length += running
        total = np.maximum(0, total + noise.standard_normal(runs) + 0.5 - 0.5)
        running &= total <= 4
    assert length.mean() == pytest.approx(run_length(0.5, 4, 0.5), rel=0.05)


@pytest.mark.parametrize(
    ("reference", "wanted", "decision", "delay"),
    [(0.125, 370, 9.74, 57.4), (0.5, 8760, 7.23, 14.8), (1.0, 1000, 2.67, 3.4), (1.5, 1e6, 4.00, 3.3)],
)
def test_the_decision_limit_gives_the_wanted_run_length(
    reference: float, wanted: float, decision: float, delay: float
) -> None:
    found = decision_for(reference, 0.0, 1.0, wanted)
    assert found == pytest.approx(decision, abs=0.01)
    assert run_length(reference, found, 2 * reference) == pytest.approx(delay, abs=0.06)


@pytest.mark.parametrize(
    ("sd", "shift", "delay"), [(0.05, 0.3, 2.7), (0.10, 0.3, 8.9), (0.20, 0.5, 9.3), (0.10, 0.5, 2.8)]
)
def test_the_bound_of_a_shift_is_that_of_the_cusum_between_accept_and_reject_level(
    sd: float, shift: float, delay: float
) -> None:
    found = shift_delay_h(shift, accept=0.145, reject=0.30, sd=sd, false_alerts_an_hour=1 / 87_600)
    assert found == pytest.approx(delay, abs=0.06)


def test_a_slow_drift_counts_for_more_than_its_deviation() -> None:
    assert effective_sd(0.02, 0.0, 6) == pytest.approx(0.02)
    noise = np.random.default_rng(3)
    hours, kept = 400_000, math.exp(-1 / 6)
    drift = np.zeros(hours)
    for hour in range(1, hours):
        drift[hour] = kept * drift[hour - 1] + 0.03 * math.sqrt(1 - kept**2) * noise.standard_normal()
    sums = (drift + 0.02 * noise.standard_normal(hours)).reshape(-1, 400).sum(axis=1)
    assert sums.std() / math.sqrt(400) == pytest.approx(effective_sd(0.02, 0.03, 6), rel=0.05)


def test_a_stall_is_known_after_its_volume_and_two_readings_but_not_before_twenty_minutes() -> None:
    assert stall_delay_h(0.5, 60) == pytest.approx(0.48 + 2 / 60)
    assert stall_delay_h(0.1, 60) == pytest.approx(2.4 + 2 / 60)
    assert stall_delay_h(10.0, 60) == pytest.approx(1 / 3 + 2 / 60)


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)])
def test_the_limits_of_a_rate_are_the_exact_ones(count: int, low: float, high: float) -> None:
    assert rate_limits(count, 1.0) == pytest.approx((low, high), abs=0.002)


def test_nothing_seen_in_three_years_is_at_most_one_a_year() -> None:
    assert upper_rate(0, 3.0) == pytest.approx(2.996 / 3, rel=1e-3)
    assert upper_rate(5, 1.0) == pytest.approx(10.513, rel=1e-3)
