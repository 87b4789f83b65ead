"""Silence, by the clock: when it begins, how it gets worse, when it is over."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service.core.change import Change, Priority, Turn
from service.core.reading import DrugClass
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.silence import Heard, turn_of
from tests.episodes import START, ms

HEARD = Heard(1, START, 7, interval_s=60.0, drug_class=DrugClass.BACLOFEN, program_ml_d=0.5)


def silent(priority: Priority = Priority.LOW) -> Heard:
    """A pump with an active alert for its silence since START."""
    return replace(HEARD, silent_since=START, priority=priority)


def after(**passed: float) -> datetime:
    return START + timedelta(**passed)


def turn(heard: Heard, now: datetime) -> tuple[Turn, int] | None:
    change = turn_of(heard, DEFAULT_RULEBOOK, now)
    return None if change is None else (change.turn, change.step)


def test_a_pump_is_silent_after_three_of_its_intervals() -> None:
    assert turn(HEARD, after(minutes=3)) is None
    assert turn(HEARD, after(minutes=3, seconds=1)) == (Turn.BEGAN, 1)


def test_a_pump_that_reports_each_second_has_twenty_to_be_heard_again() -> None:
    quick = replace(HEARD, interval_s=1.0)
    assert turn(quick, after(seconds=20)) is None
    assert turn(quick, after(seconds=21)) == (Turn.BEGAN, 1)


@pytest.mark.parametrize(
    ("drug_class", "turns"),
    [
        (DrugClass.BACLOFEN, [(Turn.ROSE, 2), (Turn.ROSE, 3)]),
        (DrugClass.UNKNOWN, [(Turn.ROSE, 2), (Turn.ROSE, 3)]),
        (DrugClass.ZICONOTIDE, [(Turn.ROSE, 2), None]),
    ],
)
def test_silence_gets_more_urgent_as_far_as_the_drug_makes_it(
    drug_class: DrugClass, turns: list[tuple[Turn, int] | None]
) -> None:
    low, medium = (replace(silent(p), drug_class=drug_class) for p in (Priority.LOW, Priority.MEDIUM))
    assert turn(low, after(hours=12)) is None
    assert [turn(low, after(hours=12.1)), turn(medium, after(hours=24.1))] == turns
    assert turn(silent(Priority.HIGH), after(days=30)) is None


def test_silence_first_seen_when_it_is_old_is_as_urgent_as_it_is_old() -> None:
    assert turn(HEARD, after(days=2)) == (Turn.BEGAN, 3)


def test_being_heard_ends_it() -> None:
    heard = replace(silent(Priority.HIGH), heard_at=after(hours=30))
    assert turn(heard, after(hours=31)) == (Turn.ENDED, 1)


def test_the_turn_says_since_when_and_what_was_to_be_expected() -> None:
    assert turn_of(HEARD, DEFAULT_RULEBOOK, after(minutes=5)) == Change(
        pump=1,
        condition="silence",
        turn=Turn.BEGAN,
        step=1,
        position=7,
        at_ms=ms(after(minutes=5)),
        began_ms=ms(START),
        received_ms=ms(after(minutes=5)),
        evidence={"interval_s": 60.0, "program_ml_d": 0.5},
    )
