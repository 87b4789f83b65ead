"""Conditions decided by step end after quiet time, so that a value on its limit does not chatter."""

import numpy as np
import pytest

from service.core.change import Turn
from service.core.reading import EventType
from service.core.rulebook import PumpFacts
from tests.histories import history
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, SENSOR, Pumps, readings

TEN_MINUTES_MS = 10 * MINUTE_MS
TREMBLING = {
    "on the gross limit above": (1.45, 1.15),
    "far above, and not": (3.0, 1.0),
    "on the gross limit below": (0.55, 0.3),
    "on the stall's limit": (0.25, 0.01),
    "on the hourly reference": (1.2225, 0.05),
}


def most_in_ten_minutes(pumps: Pumps) -> int:
    """The most turns of one condition of one pump that fall into ten minutes of pump time."""
    most = 0
    for what in {(change.pump, change.condition) for change in pumps.turns}:
        at_ms = np.array([change.at_ms for change in pumps.turns if (change.pump, change.condition) == what])
        most = max(most, *(int(((at_ms >= at) & (at_ms < at + TEN_MINUTES_MS)).sum()) for at in at_ms))
    return most


@pytest.mark.parametrize("facts", [SENSOR, ROTOR])
@pytest.mark.parametrize(("spacing_ms", "count"), [(1000, 4000), (MINUTE_MS, 1200)])
def test_a_value_that_trembles_on_its_limit_is_told_at_most_twice_in_ten_minutes(
    facts: PumpFacts, spacing_ms: int, count: int
) -> None:
    each_min = np.arange(count) * spacing_ms // MINUTE_MS
    up_and_down = np.where(each_min % 2, 1, -1)
    parts = [
        readings(count, flow=np.clip(middle + spread * up_and_down, 0, None), spacing_ms=spacing_ms, pump=pump)
        for pump, (middle, spread) in enumerate(TREMBLING.values())
    ]
    stopped_and_running = np.where(each_min % 8 < 4, 0.5, 0.0)
    parts.append(readings(count, program_ml_d=stopped_and_running, spacing_ms=spacing_ms, pump=len(TREMBLING)))
    parts[-1]["flow_ml_d"] = 0.4
    pumps = Pumps(len(parts), facts=facts)
    pumps.take(*parts)
    assert pumps.turns
    assert most_in_ten_minutes(pumps) <= 2


def test_a_pump_that_raises_and_clears_its_own_stall_each_minute_is_told_of_once() -> None:
    happenings = [
        (minute + shift, kind, "motor_stall")
        for minute in range(60, 120)
        for shift, kind in ((0.2, EventType.DEVICE_ALARM_RAISED), (0.8, EventType.DEVICE_ALARM_CLEARED))
    ]
    pumps = Pumps(facts=ROTOR)
    pumps.take(history([1.0] * 240, *happenings))
    assert [change.turn for change in pumps.turns if change.condition == "stall"] == [Turn.BEGAN, Turn.ENDED]
    assert most_in_ten_minutes(pumps) <= 2


def test_quiet_time_is_covered_time() -> None:
    """Three readings an hour apart, with a gap between them, are not half an hour without a reason."""
    pumps = Pumps()
    pumps.take(readings(70, flow=np.where(np.arange(70) < 60, 1.0, 2.0)))
    for hour in range(2, 6):
        pumps.take(readings(3, first_seq=hour * 100, start_ms=NOON_MS + hour * 60 * MINUTE_MS))
    assert pumps.told == [("over_delivery_gross", "began")]
