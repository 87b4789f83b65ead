"""A rotor makes whole steps, and misses some where it does not follow."""

import numpy as np
import pytest

from simulators.rotor import STEP_UL, Rotors
from tests.simulators.bench import pumps, run


def test_steps_are_whole_and_none_is_lost_between_calls() -> None:
    rotors, numbers = Rotors(7, np.arange(3)), np.arange(1)
    asked_ul = np.full((1, 3), 0.25 * STEP_UL)

    made = np.array([rotors.turn(asked_ul, np.ones((1, 3)), numbers)[0] for _ in range(8)]) / STEP_UL

    assert made[:, 0] == pytest.approx([0, 0, 0, 1, 0, 0, 0, 1])


def test_missed_steps_are_as_many_as_their_share_says_and_are_seen() -> None:
    flow = run(pumps(20), 600, advance=0.6).flow_ml_d

    assert flow.mean() == pytest.approx(0.3, rel=0.001)
    steps = 0.5 / 86.4 * 60 / STEP_UL
    assert flow.std() == pytest.approx(0.5 * np.sqrt(0.6 * 0.4 / steps), rel=0.05)


def test_a_rotor_that_stands_makes_no_step_at_all() -> None:
    assert run(pumps(5), 60, advance=0.0).flow_ml_d.max() == 0.0
