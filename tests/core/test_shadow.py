"""Turns are told, recorded or dropped as the rules of their time say; an open alert is never left in the air."""

from dataclasses import replace

import pytest

from service.core.change import Change, Condition, Priority, Ruled, Standing, Turn
from service.core.shadow import part

KEY = ("pump:p", Condition.BATTERY_END)
TOLD, SHADOW, OFF = Standing.TOLD, Standing.SHADOW, Standing.OFF
BEGAN, ROSE, ENDED = Turn.BEGAN, Turn.ROSE, Turn.ENDED


def turns(*said: tuple[Turn, Standing]) -> list[Change]:
    one = Change(1, Condition.BATTERY_END, BEGAN, 1, 0, 0, 0, 0)
    return [
        replace(one, turn=turn, position=number, ruled=Ruled("v", Priority.HIGH, standing))
        for number, (turn, standing) in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("said", "open_", "told", "shadowed"),
    [
        ([(BEGAN, TOLD), (ROSE, TOLD), (ENDED, TOLD)], 0, [0, 1, 2], [2]),
        ([(BEGAN, SHADOW), (ROSE, SHADOW), (ENDED, SHADOW)], 0, [2], [0, 1, 2]),
        ([(BEGAN, OFF), (ROSE, OFF), (ENDED, OFF)], 0, [2], [2]),
        ([(BEGAN, TOLD), (ROSE, OFF), (ENDED, OFF)], 0, [0, 1, 2], [2]),
        ([(ROSE, SHADOW), (ENDED, SHADOW)], 1, [0, 1], [1]),
        ([(ENDED, OFF), (BEGAN, OFF), (ROSE, OFF)], 1, [0], [0]),
        ([(BEGAN, SHADOW), (BEGAN, TOLD), (ENDED, TOLD)], 0, [1, 2], [0, 2]),
    ],
)
def test_turns_are_parted(said: list[tuple[Turn, Standing]], open_: int, told: list[int], shadowed: list[int]) -> None:
    parted = part([(KEY, turn) for turn in turns(*said)], {KEY} if open_ else set())
    assert [turn.position for _, turn in parted.told] == told
    assert [turn.position for turn in parted.shadowed] == shadowed
