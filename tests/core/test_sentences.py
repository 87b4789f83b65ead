"""What is said of an alert, word by word."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.core.alert import AlertState
from service.core.change import Condition, Turn
from service.core.lifecycle import begin, turn, withdraw
from service.core.sentences import clock_time, short, span, what_is_over, what_is_wrong
from tests.episodes import an_alert, at, given, turned

SAID = [
    (
        Condition.STALL,
        {"flow_ml_d": 0.0, "missed_ul": 10.42},
        "The motor has not advanced since 19:10 UTC although 0.5 mL/d is programmed: about 10.4 µL have been missed.",
    ),
    (
        Condition.STALL,
        {"flow_ml_d": 0.0213, "missed_ul": 10.0},
        (
            "The motor has almost stopped (0.0213 mL/d) since 19:10 UTC although 0.5 mL/d is programmed: "
            "about 10 µL have been missed."
        ),
    ),
    (
        Condition.OVER_DELIVERY_GROSS,
        {"flow_ml_d": 0.92},
        "The pump has delivered far more than programmed since 19:10 UTC: 0.92 mL/d where 0.5 mL/d is programmed.",
    ),
    (
        Condition.OVER_DELIVERY,
        {"deviation": 0.312},
        (
            "The pump has delivered more than programmed since about 19:10 UTC: +31% in the last whole hour, "
            "at 0.5 mL/d programmed."
        ),
    ),
    (
        Condition.UNDER_DELIVERY,
        {"deviation": -0.4},
        (
            "The pump has delivered less than programmed since about 19:10 UTC: -40% in the last whole hour, "
            "at 0.5 mL/d programmed."
        ),
    ),
    (
        Condition.RESERVOIR_LOW,
        {"left_ml": 2.13, "rate_ml_d": 0.5, "empty_in_d": 3.2, "empty_nominal_d": 4.26, "said_by_pump": 0.0},
        "The reservoir holds 2.13 mL; at 0.5 mL/d it may be empty in 3 days (4 days if it delivers as programmed).",
    ),
    (
        Condition.RESERVOIR_EMPTY,
        {"left_ml": 0.18, "said_by_pump": 1.0},
        "The pump itself says that its reservoir is empty since 19:10 UTC (0.18 mL left).",
    ),
    (
        Condition.REFILL_MISMATCH,
        {"off_ml": -3.4, "off_limit_ml": 3.075, "short_ml": 0.0, "refill_ms": at(10).timestamp() * 1000},
        (
            "At the refill at 19:10 UTC 3.4 mL less came out than should have been left (limit 3.08 mL): "
            "the pump may have delivered more than programmed."
        ),
    ),
    (
        Condition.REFILL_MISMATCH,
        {"off_ml": 0.1, "off_limit_ml": 3.0, "short_ml": 6.2, "refill_ms": at(10).timestamp() * 1000},
        (
            "After the refill at 19:10 UTC the level is 6.2 mL below what was put in: "
            "the drug may have gone beside the pump."
        ),
    ),
    (
        Condition.LEVEL_DEVIATION,
        {"too_fast_ml": 0.43, "too_slow_ml": 0.0, "level_ml": 12.04},
        (
            "Since about 19:10 UTC the reservoir has fallen by 0.43 mL more than the measured flow and its tolerance "
            "explain; it holds 12 mL."
        ),
    ),
    (
        Condition.BATTERY_LOW,
        {"service_left_d": 89.9, "hourly_v": 2.591, "limit_service_d": 90.0, "said_by_pump": 0.0},
        "The pump is to be replaced: its service ends in 90 days, its battery is at 2.59 V.",
    ),
    (
        Condition.BATTERY_END,
        {"said_by_pump": 1.0},
        "The pump itself says that it is at the end of its service since 19:10 UTC.",
    ),
    (
        Condition.BATTERY_RESET,
        {},
        "The pump was reset by its battery at 19:10 UTC and may run at its minimum rate.",
    ),
    (
        Condition.PROGRAM_UNAUTHORISED,
        {"set_ml_d": 1.5, "usual_ml_d": 0.5},
        (
            "The program was set to 1.5 mL/d at 19:10 UTC (about 0.5 mL/d before), "
            "and nobody is known to have authorised it."
        ),
    ),
    (
        Condition.STOPPED_LONG,
        {"stopped_ms": 86_400_000.0},
        "Nothing has been programmed since 19:10 UTC: the pump has stood still for 24 h.",
    ),
    (
        Condition.BOLUS_CAP,
        {"given_ul": 312.5, "bolus_daily_cap_ul": 250.0},
        "The pump gave 312 µL by boluses within 24 h; 250 µL are allowed.",
    ),
    (
        Condition.BOLUS_DENIED,
        {"denied": 4.0},
        "4 boluses were denied within 24 h; the patient asks for more than is allowed.",
    ),
    (
        Condition.MEMORY_ERROR,
        {},
        "The pump reports an error of its memory since 19:10 UTC: its program cannot be relied upon.",
    ),
    (
        Condition.SILENCE,
        {"interval_s": 60.0},
        (
            "Nothing has been heard from this pump since 19:10 UTC (20 min); it should report every 60 s. "
            "How it is doing is unknown."
        ),
    ),
    (
        Condition.CLOCK_OFF,
        {"offset_ms": -7_800_000},
        "The pump's clock is 2 h ahead of ours; its times are corrected by that.",
    ),
    (Condition.UNREGISTERED, {}, "This pump is not in the registry."),
]


@pytest.mark.parametrize(("condition", "evidence", "sentence"), SAID, ids=[condition for condition, *_ in SAID])
def test_what_is_wrong_is_said_with_its_numbers_and_times(
    condition: Condition, evidence: dict[str, float], sentence: str
) -> None:
    alert = begin(turned(Turn.BEGAN, 30, condition, began=10, **evidence), None, given(31)).alert
    assert what_is_wrong(alert, at(31)) == sentence


@pytest.mark.parametrize("condition", Condition)
def test_evidence_without_numbers_still_says_what_is_wrong(condition: Condition) -> None:
    alert = replace(an_alert(30, condition), evidence={"flow_ml_d": None})
    sentence = what_is_wrong(alert, at(31))
    assert sentence.endswith(".")
    assert "None" not in sentence


@pytest.mark.parametrize("condition", Condition)
def test_what_is_over_says_when_that_was_seen(condition: Condition) -> None:
    ended = turn(turned(Turn.ENDED, 60, condition), an_alert(30, condition), None, given(61), announced=True)
    assert ended is not None
    sentence = what_is_over(ended.alert, at(61))
    assert "(seen at 20:00 UTC)" in sentence
    assert "reset" not in sentence


def test_a_reset_and_a_withdrawal_are_told_apart() -> None:
    alert = an_alert(30)
    reset = replace(alert, state=AlertState.RESOLVED, ended_at=at(60))
    assert what_is_over(reset, at(70)) == (
        "The motor advances again (seen at 20:00 UTC). A person has reset the alert."
    )
    assert "did not happen" in what_is_over(withdraw(alert, at(70)).alert, at(70))


def test_a_time_of_another_day_names_the_day() -> None:
    assert clock_time(at(0), at(299)) == "19:00 UTC"
    assert clock_time(at(0), at(300)) == "19:00 UTC on 22 November 2026"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=12.4), "12 s"),
        (timedelta(minutes=90), "90 min"),
        (timedelta(hours=13), "13 h"),
        (timedelta(days=3.2), "3 days"),
        (timedelta(seconds=-3), "0 s"),
    ],
)
def test_a_length_of_time_is_said_in_its_own_unit(length: timedelta, said: str) -> None:
    assert span(length) == said


def test_numbers_have_the_digits_that_the_sensors_are_worth() -> None:
    assert [short(value) for value in (0.49714, 10.42, 250.0, 12345.6, 0.0)] == ["0.497", "10.4", "250", "12,346", "0"]
