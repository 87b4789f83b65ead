"""When must the pump be replaced, has it ended its service, and was it reset?"""

import math

import numpy as np
import pytest

from service.core.reading import EventType, Items, Mode
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, event, minutes_after, readings

HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365.25 * DAY_MS


def hourly(volts: np.ndarray, *, first: int = 0, flow: float = 1.0, program: float = 0.1) -> Items:
    return readings(
        len(volts),
        battery_v=volts,
        flow=flow,
        program_ml_d=program,
        first_seq=first,
        spacing_ms=HOUR_MS,
        start_ms=NOON_MS + first * HOUR_MS,
        reservoir_ml=18.0,
    )


def alarm(kind: str, code: str, seq: int, at_h: float) -> Items:
    return event(EventType[f"DEVICE_ALARM_{kind}"], seq=seq, code=code, at_ms=NOON_MS + round(at_h * HOUR_MS))


def command(seq: int, at_ms: int, *, mode: Mode, rate: float, authorised: bool) -> Items:
    return event(EventType.PROGRAM_CHANGED, seq=seq, at_ms=at_ms, mode=mode, value=rate, second=float(authorised))


def days_after(change: object) -> float:
    return minutes_after(change) / 1440


def test_three_hours_below_the_limit_are_the_beginning_of_ninety_days() -> None:
    volts = np.full(95 * 24, 2.59)
    volts[:24] = 2.61
    volts[10:12] = 2.5  # two hours are not three
    pumps = Pumps(facts=ROTOR)
    pumps.take(hourly(volts))
    low = [change for change in pumps.turns if change.condition == "battery_low"]
    assert [(change.turn, change.step) for change in low] == [("began", 1), ("rose", 2), ("rose", 3)]
    assert [days_after(change) for change in low] == pytest.approx([1.1, 61.1, 84.1], abs=0.1)
    assert low[1].evidence["service_left_d"] == pytest.approx(30, abs=0.1)


def test_a_voltage_that_trembles_on_the_limit_makes_one_alert() -> None:
    volts = 2.6 + 0.01 * np.random.default_rng(1).standard_normal(24 * 30)
    pumps = Pumps(facts=ROTOR)
    pumps.take(hourly(volts))
    assert pumps.told == [("battery_low", "began")]


def test_a_voltage_well_above_again_for_three_hours_ends_it() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(hourly(np.r_[np.full(5, 2.5), np.full(2, 2.7), np.full(5, 2.5), np.full(5, 2.7)]))
    assert pumps.told == [("battery_low", "began"), ("battery_low", "ended")]
    assert minutes_after(pumps.turns[1]) == 14 * 60


def test_age_alone_brings_the_end_near_and_is_it() -> None:
    facts = ROTOR._replace(implanted_ms=NOON_MS + 40 * DAY_MS - 7 * YEAR_MS)
    pumps = Pumps(facts=facts)
    pumps.take(hourly(np.full(45 * 24, 2.9)))
    assert [(change.condition, change.step) for change in pumps.turns] == [
        ("battery_low", 1),
        ("battery_low", 2),
        ("battery_low", 3),
        ("battery_end", 1),
    ]
    assert [days_after(change) for change in pumps.turns] == pytest.approx([0, 10, 33, 40], abs=0.1)
    unknown = Pumps(facts=ROTOR._replace(implanted_ms=math.nan))
    unknown.take(hourly(np.full(24, 2.9)))
    assert unknown.turns == []


def test_past_its_service_a_pump_that_no_longer_delivers_has_ended_and_one_that_does_has_not() -> None:
    volts = np.full(91 * 24, 2.5)
    pumps = Pumps(facts=ROTOR)
    pumps.take(hourly(volts))
    assert "battery_end" not in {condition for condition, _ in pumps.told}
    first = len(volts)
    pumps.take(hourly(volts[:24], first=first, flow=0.0))
    assert ("battery_end", "began") in pumps.told
    pumps.take(hourly(volts[:2], first=first + 24), hourly(volts[:2], first=first + 26, flow=0.0))
    assert ("battery_end", "ended") not in pumps.told
    pumps.take(hourly(volts[:6], first=first + 28))
    assert ("battery_end", "ended") in pumps.told


def test_what_the_pump_says_of_its_battery_is_told_at_the_event() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(
        hourly(np.full(5, 2.9)), alarm("RAISED", "replace_soon", 5, 4.5), alarm("RAISED", "end_of_service", 6, 4.6)
    )
    assert pumps.told == [("battery_low", "began"), ("battery_end", "began")]
    pumps.take(hourly(np.full(20, 2.9), first=7))
    assert len(pumps.turns) == 2
    pumps.take(alarm("CLEARED", "replace_soon", 27, 26.5), alarm("CLEARED", "end_of_service", 28, 26.6))
    pumps.take(hourly(np.full(8, 2.9), first=29))
    assert sorted(pumps.told[2:]) == [("battery_end", "ended"), ("battery_low", "ended")]


def test_a_reset_is_told_once_and_ends_when_somebody_sets_the_program_again() -> None:
    at_ms = NOON_MS + 60 * MINUTE_MS
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(60), alarm("RAISED", "battery_reset", 60, 0.99))
    pumps.take(command(61, at_ms, mode=Mode.MINIMUM, rate=0.006, authorised=False))
    pumps.take(readings(300, first_seq=62, start_ms=at_ms, mode=Mode.MINIMUM, program_ml_d=0.006))
    pumps.take(alarm("CLEARED", "battery_reset", 362, 6))
    pumps.take(readings(60, first_seq=363, start_ms=at_ms + 300 * MINUTE_MS, mode=Mode.MINIMUM, program_ml_d=0.006))
    assert pumps.told == [("battery_reset", "began")]
    pumps.take(command(423, at_ms + 360 * MINUTE_MS, mode=Mode.RUNNING, rate=0.5, authorised=True))
    assert pumps.told == [("battery_reset", "began"), ("battery_reset", "ended")]


def test_the_minimum_rate_that_nobody_asked_for_is_a_reset_and_one_that_was_asked_for_is_not() -> None:
    for asked in (False, True):
        pumps = Pumps(facts=ROTOR)
        pumps.take(readings(10))
        if asked:
            pumps.take(command(10, NOON_MS + 10 * MINUTE_MS, mode=Mode.MINIMUM, rate=0.006, authorised=True))
        minimum = readings(30, first_seq=11, start_ms=NOON_MS + 11 * MINUTE_MS, mode=Mode.MINIMUM, program_ml_d=0.006)
        pumps.take(minimum)
        assert pumps.told == ([] if asked else [("battery_reset", "began")])
        if not asked:
            assert minutes_after(pumps.turns[0]) <= 12


def test_a_reset_of_which_the_new_program_is_lost_ends_once_the_pump_has_run_for_three_hours() -> None:
    at_ms = NOON_MS + 10 * MINUTE_MS
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(10))
    pumps.take(readings(300, first_seq=10, start_ms=at_ms, mode=Mode.MINIMUM, program_ml_d=0.006))
    pumps.take(readings(150, first_seq=320, start_ms=at_ms + 310 * MINUTE_MS))
    assert pumps.told == [("battery_reset", "began")]
    pumps.take(readings(120, first_seq=470, start_ms=at_ms + 460 * MINUTE_MS))
    assert pumps.told == [("battery_reset", "began"), ("battery_reset", "ended")]
    assert minutes_after(pumps.turns[1]) == 9 * 60 + 1


def test_a_pump_that_is_first_heard_at_its_minimum_rate_may_have_been_asked_for_that() -> None:
    minimum = readings(300, mode=Mode.MINIMUM, program_ml_d=0.006)
    pumps = Pumps(facts=ROTOR)
    pumps.take(minimum)
    assert pumps.told == []
    later_ms = NOON_MS + 300 * MINUTE_MS
    pumps.take(readings(30, first_seq=300, start_ms=later_ms))
    pumps.take(readings(5, first_seq=330, start_ms=later_ms + 30 * MINUTE_MS, mode=Mode.MINIMUM, program_ml_d=0.006))
    assert pumps.told == [("battery_reset", "began")]
    said = Pumps(facts=ROTOR)
    said.take(readings(10, mode=Mode.MINIMUM, program_ml_d=0.006), alarm("RAISED", "battery_reset", 10, 0.2))
    assert said.told == [("battery_reset", "began")]
