"""What is still known where a state cannot be read: what held, and how things stand at the end."""

from dataclasses import replace

from service.core.change import Change, Condition, Turn
from service.core.relearn import Seed, last_words, seeded
from service.core.state import SINCE_OF, fresh, holding


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
