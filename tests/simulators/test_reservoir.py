"""What a refill brings up is near the truth, and what is injected beside the pump is not in it."""

import numpy as np
import pytest

from tests.simulators.bench import HOUR_MS, pumps, run


def test_what_is_aspirated_errs_as_syringes_and_needles_do() -> None:
    fleet = pumps(400, bias=0.05)
    run(fleet, 20 * 24, HOUR_MS)
    left_ml = float(fleet.true_ml[0])

    came_out = np.array([fleet.refill(pump, 20.0) for pump in range(400)])

    assert left_ml == pytest.approx(20 - 10 * 1.05)
    assert came_out[:, 0].mean() == pytest.approx(left_ml - 0.1, abs=0.05)
    assert came_out[:, 0].std() == pytest.approx(np.hypot(0.3, 0.2 / np.sqrt(12)), rel=0.1)
    assert came_out[:, 1] == pytest.approx(10.0)
    assert fleet.true_ml == pytest.approx(20.0)
    assert fleet.computed_ml == pytest.approx(20.0)


def test_a_pocket_fill_makes_the_pump_believe_what_is_not_so() -> None:
    fleet = pumps(50, sensor=True)
    rotor = pumps(50)
    for each in (fleet, rotor):
        run(each, 24 * 30, HOUR_MS)
        for pump in range(50):
            each.refill(pump, 20.0, missed_share=0.8)

    assert rotor.computed_ml == pytest.approx(20.0)
    assert (rotor.true_ml < 0.2 + 0.2 * 20.0).all()
    assert run(rotor, 1).reservoir_ml.min() == pytest.approx(20.0, abs=0.001)
    assert run(fleet, 1).reservoir_ml.mean() == pytest.approx(float(fleet.true_ml.mean()), abs=0.03)


def test_a_computed_reservoir_keeps_falling_through_a_stall_while_the_true_one_does_not() -> None:
    fleet = pumps(1)
    run(fleet, 1440, advance=0.0)

    assert fleet.computed_ml[0] == pytest.approx(19.5)
    assert fleet.true_ml[0] == 20.0
