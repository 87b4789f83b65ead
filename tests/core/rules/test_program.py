"""Was the program changed without authority, and for how long has nothing been programmed?"""

import pytest

from service.core.reading import EventType, Items, Mode
from service.core.rulebook import Rulebook, parse_rulebook
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, event, minutes_after, readings

HALF_HOUR_MS = 30 * MINUTE_MS
DAY = 48  # half hours


def changed(seq: int, half_hour: float, *, authorised: bool, mode: Mode = Mode.RUNNING, rate: float = 0.5) -> Items:
    at_ms = NOON_MS + round(half_hour * HALF_HOUR_MS)
    return event(EventType.PROGRAM_CHANGED, seq=seq, at_ms=at_ms, value=rate, second=float(authorised), mode=mode)


def span(count: int, first: int, *, program: float, seq: int | None = None) -> Items:
    return readings(
        count,
        program_ml_d=program,
        mode=Mode.RUNNING if program else Mode.STOPPED,
        first_seq=first if seq is None else seq,
        spacing_ms=HALF_HOUR_MS,
        start_ms=NOON_MS + first * HALF_HOUR_MS,
        reservoir_ml=18.0,
    )


def test_a_change_without_authority_is_told_at_its_event_and_ended_by_one_with_authority() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(span(4, 0, program=0.5), changed(4, 3.5, authorised=False, rate=1.5))
    assert pumps.told == [("program_unauthorised", "began")]
    assert pumps.turns[0].evidence["set_ml_d"] == 1.5
    pumps.take(span(4, 5, program=1.5), changed(9, 8.5, authorised=False, rate=1.7))
    assert len(pumps.turns) == 1
    pumps.take(changed(10, 8.6, authorised=True))
    assert pumps.told == [("program_unauthorised", "began"), ("program_unauthorised", "ended")]


def test_where_the_change_with_authority_is_lost_a_refill_or_a_day_of_the_old_program_ends_it() -> None:
    def changed_in(pumps: Pumps) -> Pumps:
        pumps.take(span(2 * DAY, 0, program=0.5), changed(2 * DAY, 2 * DAY - 0.5, authorised=False, rate=1.0))
        pumps.take(span(DAY, 2 * DAY, program=1.0, seq=2 * DAY + 1))
        assert pumps.told == [("program_unauthorised", "began")]
        assert pumps.turns[0].evidence["usual_ml_d"] == 0.5
        return pumps

    refilled = changed_in(Pumps(facts=ROTOR))
    refilled.take(event(EventType.REFILL, seq=3 * DAY + 1, value=18.0, at_ms=NOON_MS + 3 * DAY * HALF_HOUR_MS))
    assert refilled.told[1:] == [("program_unauthorised", "ended")]
    left, back = changed_in(Pumps(facts=ROTOR)), changed_in(Pumps(facts=ROTOR))
    left.take(span(20 * DAY, 3 * DAY, program=1.0, seq=3 * DAY + 1))
    assert len(left.turns) == 1
    back.take(span(6 * DAY, 3 * DAY, program=0.5, seq=3 * DAY + 1))
    assert back.told[1:] == [("program_unauthorised", "ended")]


def test_changes_with_authority_boluses_and_a_flex_program_are_nothing() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(span(4, 0, program=0.5), changed(4, 3.5, authorised=True, rate=0.8), span(4, 5, program=0.8))
    pumps.take(span(4, 9, program=0.3), event(EventType.BOLUS_DELIVERED, seq=13, value=30.0, second=60.0))
    pumps.take(changed(14, 13, authorised=True, mode=Mode.STOPPED, rate=0.0))
    assert pumps.turns == []


def test_a_day_without_a_program_is_told_and_two_days_are_more_urgent() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(span(10, 0, program=0.5), span(3 * DAY, 10, program=0.0))
    assert [(change.condition, change.step, change.at_ms - NOON_MS) for change in pumps.turns] == [
        ("stopped_long", 1, (9 + DAY) * HALF_HOUR_MS),
        ("stopped_long", 2, (9 + 2 * DAY) * HALF_HOUR_MS),
    ]
    assert pumps.turns[0].began_ms == NOON_MS + 9 * HALF_HOUR_MS
    pumps.take(span(3, 10 + 3 * DAY, program=0.5))
    assert pumps.told[2:] == [("stopped_long", "ended")]


def test_a_gap_between_two_stopped_readings_was_stopped_unless_something_says_otherwise() -> None:
    def after_a_gap_of_a_day(between: Items | None) -> Pumps:
        pumps = Pumps(facts=ROTOR)
        pumps.take(span(4, 0, program=0.0))
        if between is not None:
            pumps.take(between)
        pumps.take(span(2, 3 + DAY, program=0.0, seq=20 + DAY))
        return pumps

    assert after_a_gap_of_a_day(None).told == [("stopped_long", "began")]
    ran = changed(10, 10, authorised=True)
    was_set = event(EventType.CLOCK_SET, seq=10, value=0.0, at_ms=NOON_MS + 10 * HALF_HOUR_MS)
    for between in (ran, was_set):
        assert after_a_gap_of_a_day(between).turns == []


def test_a_single_bolus_that_ends_stopped_begins_the_time_anew() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(span(DAY - 4, 0, program=0.0), span(1, DAY - 4, program=2.0), span(DAY - 2, DAY - 3, program=0.0))
    assert pumps.turns == []
    pumps.take(span(4, 2 * DAY - 5, program=0.0))
    assert pumps.told == [("stopped_long", "began")]


def test_a_program_that_trembles_between_stopped_and_running_makes_one_alert() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(span(DAY + 10, 0, program=0.0))
    trembling = [0.0 if minute % 2 else 0.5 for minute in range(60)]
    first = DAY + 10
    pumps.take(
        readings(
            60,
            program_ml_d=trembling,
            first_seq=first,
            start_ms=NOON_MS + (first - 1) * HALF_HOUR_MS + MINUTE_MS,
            reservoir_ml=18.0,
        )
    )
    assert [(condition, turn) for condition, turn in pumps.told if condition == "stopped_long"] == [
        ("stopped_long", "began")
    ]


def test_what_the_pump_says_of_two_days_is_told_at_once() -> None:
    pumps = Pumps(facts=ROTOR)
    said = event(EventType.DEVICE_ALARM_RAISED, seq=10, code="stopped_48h", at_ms=NOON_MS + 10 * HALF_HOUR_MS)
    pumps.take(span(10, 0, program=0.0), said)
    (began,) = pumps.turns
    assert (began.condition, began.step) == ("stopped_long", 2)
    assert minutes_after(began) == pytest.approx(300)


def test_a_rulebook_may_let_it_end_with_the_first_step_of_running() -> None:
    rulebook = parse_rulebook("[stopped_long]\nclear_for_s = 0")
    assert isinstance(rulebook, Rulebook)
    pumps = Pumps(facts=ROTOR, rulebook=rulebook)
    pumps.take(span(4, 0, program=0.5), span(DAY + 1, 4, program=0.0), span(1, 5 + DAY, program=0.5))
    assert pumps.told == [("stopped_long", "began"), ("stopped_long", "ended")]
