"""What is still known where a state cannot be read: what held, and how things stand at the end."""

from dataclasses import replace

import pytest

from service.core.change import Change, Condition, Turn
from service.core.relearn import Seed, keep_open, last_words, seeded
from service.core.state import DECIDED, SINCE_OF, fresh, holding
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, readings


def test_what_alerts_say_held_holds() -> None:
    state = seeded([Seed(Condition.STALL, 2, 5.0)])
    assert holding(state) == [Condition.STALL]
    assert state[SINCE_OF[Condition.STALL]] == 5.0
    assert (seeded([]) == fresh(1)[0]).all()


def test_of_what_was_over_before_the_end_only_the_end_is_told() -> None:
    one = Change(1, Condition.STALL, Turn.BEGAN, 1, 0, 0, 0, 0)
    said = [
        one,
        replace(one, turn=Turn.ENDED, position=1),
        replace(one, position=2),
        replace(one, turn=Turn.ROSE, step=2, position=3),
        replace(one, pump=2, position=4),
        replace(one, pump=2, turn=Turn.ENDED, position=5),
        replace(one, condition=Condition.BATTERY_END, position=6),
    ]
    assert [turn.position for turn in last_words(said)] == [2, 3, 5, 6]


@pytest.mark.parametrize("condition", [Condition.BATTERY_LOW, Condition.BATTERY_END, Condition.MEMORY_ERROR])
def test_what_the_pump_itself_said_is_not_over_because_its_word_is_long_ago(condition: Condition) -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.state[0] = seeded([Seed(condition, 1, NOON_MS - 20 * 1440 * MINUTE_MS, said=True)])
    pumps.take(readings(600, reservoir_ml=18.0))
    assert pumps.turns == []


def test_every_condition_that_held_can_end() -> None:
    ends_by_itself = {Condition.BOLUS_CAP, Condition.BOLUS_DENIED, Condition.STALL, Condition.OVER_DELIVERY}
    pumps = Pumps()
    pumps.state[0] = seeded([Seed(condition, 1, NOON_MS) for condition in DECIDED])
    pumps.take(readings(600))
    assert ends_by_itself <= {turn.condition for turn in pumps.turns if turn.turn is Turn.ENDED}


def test_what_is_open_stays_so_unless_it_has_ended_since() -> None:
    state = seeded([])
    over = Change(1, Condition.STALL, Turn.ENDED, 2, 9, 900, 0, 900)
    seeds = [Seed(Condition.STALL, 2, 500.0), Seed(Condition.REFILL_MISMATCH, 2, 500.0)]
    keep_open(state, seeds, [over])
    assert holding(state) == [Condition.REFILL_MISMATCH]
    keep_open(state, [Seed(Condition.STALL, 2, 950.0)], [over])
    assert Condition.STALL in holding(state), "it began again"
