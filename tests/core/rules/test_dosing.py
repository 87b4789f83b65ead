"""Does the pump give more by boluses than it may, and how often does it deny one?"""

import numpy as np
import pytest

from service.core.reading import EventType, Items
from service.core.state import BOLUSES_KEPT, Field
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, event, minutes_after, readings

HOUR_MS = 60 * MINUTE_MS
CAPPED = ROTOR._replace(bolus_daily_cap_ul=200.0)


class Patient(Pumps):
    """A pump that reports half-hourly, with boluses at the minutes asked for."""

    def __init__(self, facts: object = CAPPED) -> None:
        super().__init__(facts=facts)
        self.seq, self.minute = 0, 0

    def lives_until(self, minute: int) -> None:
        count = (minute - self.minute) // 30
        if count > 0:
            start_ms = NOON_MS + (self.minute + 30) * MINUTE_MS
            self.take(
                readings(count, first_seq=self.seq, start_ms=start_ms, spacing_ms=30 * MINUTE_MS, reservoir_ml=18.0)
            )
        self.seq, self.minute = self.seq + max(count, 0), self.minute + 30 * max(count, 0)

    def gets(self, minute: int, dose_ul: float) -> None:
        self._item(event(EventType.BOLUS_DELIVERED, seq=self.seq, value=dose_ul, second=60.0), minute)

    def is_denied(self, minute: int) -> None:
        self._item(event(EventType.BOLUS_DENIED, seq=self.seq, value=25.0, code="lockout"), minute)

    def _item(self, item: Items, minute: int) -> None:
        self.lives_until(minute)
        item = item.copy()
        item["position"] += self.seq - (int(item["position"][0]) & 0xFFFFFFFF)
        item["measured_ms"] = item["device_ms"] = NOON_MS + minute * MINUTE_MS
        self.seq += 1
        self.take(item)


def test_boluses_up_to_the_cap_are_nothing_and_the_one_beyond_it_is_told_at_once() -> None:
    patient = Patient()
    for number in range(8):
        patient.gets(60 * (number + 1), 25.0)
    patient.lives_until(600)
    assert patient.turns == []
    patient.gets(610, 25.0)
    (began,) = patient.turns
    assert (began.condition, minutes_after(began)) == ("bolus_cap", 610)
    assert began.evidence["given_ul"] == 225


def test_the_window_is_any_day_less_the_minute_that_two_clocks_may_differ_by() -> None:
    patient = Patient()
    patient.gets(60, 150.0)
    patient.gets(60 + 1440, 150.0)  # exactly a day later: the first is out of the window
    patient.gets(60 + 1440 + 1439, 150.0)  # by the pump's clock it may be too
    assert patient.turns == []
    patient.gets(60 + 1440 + 1439 + 1438, 150.0)
    assert patient.told == [("bolus_cap", "began")]


def test_a_bolus_counts_from_its_beginning_as_the_pump_has_it() -> None:
    """Three of the cap's four doses; the fourth is broken off, and the last begins a day after the first."""
    patient = Patient()
    for minute, dose_ul, lasted_min in ((70, 65.0, 10), (600, 65.0, 10), (900, 65.0, 10), (1511, 65.0, 1)):
        given = event(EventType.BOLUS_DELIVERED, seq=patient.seq, value=dose_ul, second=60.0 * lasted_min)
        patient._item(given, minute)
    assert patient.turns == []  # by their ends, all four lie within a day of each other: 260 of 200 µL
    early = Patient()
    for minute, lasted_min in ((70, 10), (600, 10), (900, 10), (1490, 1)):
        early._item(event(EventType.BOLUS_DELIVERED, seq=early.seq, value=65.0, second=60.0 * lasted_min), minute)
    assert early.told == [("bolus_cap", "began")]


def test_it_ends_a_whole_hour_after_the_window_is_clear_and_does_not_chatter() -> None:
    patient = Patient()
    for minute in range(60, 660, 60):
        patient.gets(minute, 25.0)
    assert patient.told == [("bolus_cap", "began")]
    patient.lives_until(3000)
    assert patient.told == [("bolus_cap", "began"), ("bolus_cap", "ended")]
    assert minutes_after(patient.turns[1]) == pytest.approx(1440 + 210, abs=61)
    trembling = Patient()
    for minute in range(60, 70):
        trembling.gets(minute, 21.0)
    assert len(trembling.turns) == 1


def test_more_boluses_than_are_remembered_are_counted_as_too_much_and_never_as_too_little() -> None:
    patient = Patient()
    doses = BOLUSES_KEPT + 5
    for number in range(doses):
        patient.gets(60 + 60 * number, 11.0)
        assert np.isclose(patient.state[0, Field.BOLUS_GIVEN_UL], 11.0 * (number + 1))
    assert patient.turns == []
    patient.gets(60 + 60 * doses, 20.0)
    assert patient.told == [("bolus_cap", "began")]


def test_three_denials_in_any_day_are_told_and_end_when_they_are_a_day_ago() -> None:
    patient = Patient()
    for minute in (60, 700, 1499):
        patient.is_denied(minute)
    assert patient.told == [("bolus_denied", "began")]
    assert minutes_after(patient.turns[0]) == 1499
    patient.is_denied(1510)
    patient.lives_until(5000)
    assert patient.told == [("bolus_denied", "began"), ("bolus_denied", "ended")]
    rare = Patient()
    for day in range(5):
        rare.is_denied(60 + 1440 * day)
        rare.is_denied(61 + 1440 * day)
    assert rare.turns == []


def test_without_a_cap_nothing_is_judged() -> None:
    patient = Patient(ROTOR)
    for minute in range(60, 600, 30):
        patient.gets(minute, 500.0)
        patient.is_denied(minute + 1)
    patient.lives_until(900)
    assert patient.turns == []
