"""Locked telemetry, losses and clocks: each an alert, and its end."""

import pytest

from service.core.change import Condition, Turn
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.technical import ClockSaid, Locked, Losses, clock_turn, lock_turn, loss_turn

NOW = 1_795_348_800_000
HOUR = 3_600_000


def test_a_pump_last_heard_with_its_motor_standing_is_locked_after_two_hours() -> None:
    pump = Locked(1, NOW, 7, stalled=True, stall="the-stall", locked_since_ms=None)
    assert lock_turn(pump, DEFAULT_RULEBOOK, NOW + 2 * HOUR) is None
    found = lock_turn(pump, DEFAULT_RULEBOOK, NOW + 2 * HOUR + 1)
    assert found is not None
    assert (found.turn, found.began_ms, found.evidence["stall_alert"]) == (Turn.BEGAN, NOW, "the-stall")
    assert lock_turn(pump._replace(stalled=False), DEFAULT_RULEBOOK, NOW + 9 * HOUR) is None


def test_a_lock_is_over_when_the_pump_is_heard_whatever_became_of_the_stall() -> None:
    pump = Locked(1, NOW, 7, stalled=False, stall="", locked_since_ms=NOW)
    assert lock_turn(pump, DEFAULT_RULEBOOK, NOW + 9 * HOUR) is None
    found = lock_turn(pump._replace(heard_ms=NOW + 1), DEFAULT_RULEBOOK, NOW + 9 * HOUR)
    assert found is not None
    assert found.turn is Turn.ENDED


@pytest.mark.parametrize(
    ("lost", "told", "turn"),
    [(9, False, None), (10, False, Turn.BEGAN), (1, True, None), (0, True, Turn.ENDED), (0, False, None)],
)
def test_losses_are_one_alert_while_they_go_on(lost: int, told: bool, turn: Turn | None) -> None:  # noqa: FBT001
    found = loss_turn(Losses(1, lost, NOW - HOUR, NOW, 7, told), DEFAULT_RULEBOOK, NOW)
    assert (None if found is None else found.turn) == turn


@pytest.mark.parametrize(
    ("offset_ms", "told", "turn"), [(5, False, Turn.BEGAN), (5, True, None), (0, True, Turn.ENDED), (0, False, None)]
)
def test_a_clock_is_off_while_its_newest_offset_is(offset_ms: int, told: bool, turn: Turn | None) -> None:  # noqa: FBT001
    found = clock_turn(ClockSaid(1, offset_ms, 7, told), NOW)
    assert (None if found is None else found.turn) == turn
    assert found is None or (found.condition, found.position) == (Condition.CLOCK_OFF, 7)
