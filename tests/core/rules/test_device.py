"""What does the pump itself say is wrong?"""

import pytest

from service.core.reading import DeviceCode, EventType
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, event, readings

MEANS = {
    DeviceCode.MOTOR_STALL: "stall",
    DeviceCode.RESERVOIR_LOW: "reservoir_low",
    DeviceCode.RESERVOIR_EMPTY: "reservoir_empty",
    DeviceCode.REPLACE_SOON: "battery_low",
    DeviceCode.END_OF_SERVICE: "battery_end",
    DeviceCode.BATTERY_RESET: "battery_reset",
    DeviceCode.MEMORY_ERROR: "memory_error",
    DeviceCode.STOPPED_48H: "stopped_long",
}


def alarm(kind: EventType, code: DeviceCode, seq: int, at_s: float) -> object:
    return event(kind, seq=seq, code=code.name.lower(), at_ms=NOON_MS + round(at_s * 1000))


@pytest.mark.parametrize("code", DeviceCode)
def test_every_alarm_of_the_pump_is_passed_on_at_its_event_even_before_any_reading(code: DeviceCode) -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(alarm(EventType.DEVICE_ALARM_RAISED, code, 0, 0))
    assert pumps.told == [(MEANS[code], "began")]


@pytest.mark.parametrize("code", DeviceCode)
def test_an_alarm_that_comes_and_goes_each_second_makes_at_most_two_notifications(code: DeviceCode) -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(10))
    for second in range(300):
        kind = EventType.DEVICE_ALARM_CLEARED if second % 2 else EventType.DEVICE_ALARM_RAISED
        pumps.take(alarm(kind, code, 10 + second, 540 + second))
    assert 1 <= len([each for each, _ in pumps.told if each == MEANS[code]]) <= 2


def test_an_error_of_the_memory_is_over_a_whole_hour_after_the_pump_has_said_so() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(10), alarm(EventType.DEVICE_ALARM_RAISED, DeviceCode.MEMORY_ERROR, 10, 580))
    pumps.take(readings(200, first_seq=11, start_ms=NOON_MS + 11 * MINUTE_MS))
    assert pumps.told == [("memory_error", "began")]
    pumps.take(alarm(EventType.DEVICE_ALARM_CLEARED, DeviceCode.MEMORY_ERROR, 211, 211 * 60))
    pumps.take(readings(150, first_seq=212, start_ms=NOON_MS + 212 * MINUTE_MS))
    assert pumps.told == [("memory_error", "began"), ("memory_error", "ended")]


def test_a_start_or_a_program_with_authority_ends_an_error_of_the_memory_unless_the_pump_says_it_again() -> None:
    started = event(EventType.STARTED, seq=0, boot=2, code="watchdog", at_ms=NOON_MS + 11 * MINUTE_MS)
    programmed = event(
        EventType.PROGRAM_CHANGED, seq=0, boot=2, mode=0, value=0.5, second=1.0, at_ms=NOON_MS + 11 * MINUTE_MS
    )
    again = alarm(EventType.DEVICE_ALARM_RAISED, DeviceCode.MEMORY_ERROR, 1, 690)
    again["position"] = started["position"] + 1
    for followed, ends in (([started], True), ([programmed], True), ([started, again], False)):
        pumps = Pumps(facts=ROTOR)
        pumps.take(readings(10), alarm(EventType.DEVICE_ALARM_RAISED, DeviceCode.MEMORY_ERROR, 10, 580))
        pumps.take(*followed, readings(200, first_seq=2, boot=2, start_ms=NOON_MS + 12 * MINUTE_MS))
        assert (("memory_error", "ended") in pumps.told) is ends
