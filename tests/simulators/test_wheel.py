"""What is due comes when its time has come: never early, at most a tick late, and all of it."""

from hypothesis import given
from hypothesis import strategies as st

from simulators.wheel import TICK_S, Wheel

SECONDS = st.floats(0, 200, allow_nan=False)


@given(st.lists(SECONDS, max_size=40), st.lists(SECONDS, max_size=20))
def test_every_deadline_is_told_once_and_in_time(deadlines: list[float], turns: list[float]) -> None:
    wheel: Wheel[int] = Wheel(0.0)
    for number, due_s in enumerate(deadlines):
        wheel.at(due_s, number)
    told: list[tuple[float, int, float]] = []
    before_s = 0.0
    for now_s in [*sorted(turns), 1000.0]:
        found = wheel.due(now_s)
        told += [(due_s, number, now_s) for due_s, number in found]
        assert all(due_s <= now_s for due_s, _ in found)
        assert all(due_s > before_s - 2 * TICK_S for due_s, _ in found)
        before_s = now_s

    assert sorted((due_s, number) for due_s, number, _ in told) == sorted(
        (due_s, number) for number, due_s in enumerate(deadlines)
    )


def test_what_is_due_already_comes_with_the_next_turn() -> None:
    wheel: Wheel[str] = Wheel(100.0)
    assert wheel.due(110.0) == []
    wheel.at(50.0, "long ago")

    assert wheel.due(110.2) == [(50.0, "long ago")]
    assert wheel.due(111.0) == []
