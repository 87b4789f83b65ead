"""The sums behind sustained deviation, held to published figures and to the false alerts that are asked of them."""

import numpy as np
import pytest

from service.core.limits import LIMITS
from service.core.rules import cusum
from tests.pumps import MINUTE_MS, Pumps, readings

SUSTAINED = LIMITS["over_delivery"]
IN_FORCE = cusum.Design(*(SUSTAINED[name].default for name in ("reference", "decision", "cap", "clear_hours")))


@pytest.mark.parametrize(
    ("decision", "shift", "published"),
    # One-sided CUSUM with k = 0.5: Montgomery, after Lucas and Crosier; exact solutions of Page's integral equation.
    [(4.0, 0.0, 335.4), (5.0, 0.0, 930.9), (4.0, 1.0, 8.38), (5.0, 1.0, 10.38)],
)
def test_run_lengths_are_the_published_ones(decision: float, shift: float, published: float) -> None:
    pumps = 400
    samples = round(20_000 * published / pumps)  # twenty thousand runs: 0.7 % is the standard error
    draws = np.random.default_rng(2).standard_normal((samples, pumps)) + shift
    assert cusum.mean_run_length(0.5, decision, draws) == pytest.approx(published, rel=0.03)


def test_half_an_hour_is_half_the_evidence() -> None:
    rest = cusum.Side(*np.zeros((3, 1)))
    excess = np.array([0.25])
    whole = cusum.advance(rest, excess, 1.0, IN_FORCE)
    halves = cusum.advance(cusum.advance(rest, excess, 0.5, IN_FORCE), excess, 0.5, IN_FORCE)
    assert halves.total == pytest.approx(whole.total)


def test_the_cap_lets_no_hour_decide_alone() -> None:
    side = cusum.advance(cusum.Side(*np.zeros((3, 1))), np.array([50.0]), 1.0, IN_FORCE)
    assert side.level == 0
    assert cusum.advance(side, np.array([50.0]), 1.0, IN_FORCE).level == 1


@pytest.mark.parametrize("drift_tau_h", [6.0, 24.0])
def test_healthy_hours_raise_nothing_in_twenty_pump_years(drift_tau_h: float) -> None:
    random = np.random.default_rng(9)
    noise = cusum.Noise(drift_tau_h=drift_tau_h)
    pumps, hours = 250, 700
    found = cusum.false_alerts(
        IN_FORCE,
        noise,
        random.standard_normal(pumps),
        random.standard_normal((hours, pumps)),
        random.standard_normal((hours, pumps)),
    )
    assert found.sum() == 0


def test_a_loose_limit_is_found_out() -> None:
    random = np.random.default_rng(9)
    loose = IN_FORCE._replace(reference=0.02, decision=0.05)
    draws = random.standard_normal((200, 50))
    found = cusum.false_alerts(loose, cusum.Noise(), random.standard_normal(50), draws, draws[::-1])
    assert found.sum() > 10


def test_what_is_simulated_is_what_the_rule_does() -> None:
    """Pumps that are often beyond their tolerance: as many alerts by calibration as by the fold over their readings."""
    random = np.random.default_rng(10)
    pumps, count = 40, 240
    noise = cusum.Noise(bias_mean=0.2, bias_sd=0.02, bias_limit=1.0)
    draws = (random.standard_normal(pumps), *random.standard_normal((2, count, pumps)))
    deviation = np.array(list(cusum.hours(noise, *draws)))
    folded = Pumps(pumps)
    folded.take(
        *(
            readings(count + 2, flow=1 + np.r_[0, deviation[:, pump], 0], spacing_ms=60 * MINUTE_MS, pump=pump)
            for pump in range(pumps)
        )
    )
    began = [change.pump for change in folded.turns if (change.condition, change.turn) == ("over_delivery", "began")]
    assert len(began) > 100
    assert np.bincount(began, minlength=pumps).tolist() == cusum.false_alerts(IN_FORCE, noise, *draws).tolist()
