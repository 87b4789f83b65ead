"""Which steps are looked at: of a healthy pump those that end an hour, and all while a rule has yet to decide."""

import numpy as np
import pytest

from service.core.rules import screen
from service.core.state import Field
from tests.histories import history, minutes
from tests.pumps import ROTOR, Pumps, readings


def test_a_pump_near_its_program_has_nothing_under_way() -> None:
    pumps = Pumps()
    pumps.take(readings(120, flow=1 + 0.1 * np.random.default_rng(1).standard_normal(120)))
    assert pumps.state[0, Field.UNSETTLED] == 0


def test_a_rule_that_has_something_under_way_is_asked_again_though_the_step_is_ordinary() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(minutes((60, 1), (40, 0), (10, 1))))
    assert pumps.state[0, Field.UNSETTLED] == 1
    assert pumps.told == [("stall", "began")]


def test_to_look_at_every_step_gives_the_same_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the screen lets pass says nothing: looking at all of it changes nothing."""
    noise = np.random.default_rng(3)
    flow = np.clip(1 + 0.2 * noise.standard_normal(720), 0, None)
    flow[200:230], flow[300:303], flow[400:420], flow[500:510] = 0.0, 0.0, 1.9, 0.3
    told = readings(720, flow=flow, program_ml_d=np.where(np.arange(720) % 240 < 230, 0.5, 0.0))
    screened, all_of_it = Pumps(), Pumps()
    screened.take(told)
    monkeypatch.setattr(
        screen, "says_something", lambda state, _step, _limits, _rows: np.ones(state.shape[1], np.bool_)
    )
    all_of_it.take(told)
    assert screened.turns == all_of_it.turns
    assert screened.state.tobytes() == all_of_it.state.tobytes()
