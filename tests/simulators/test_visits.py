"""Clinics refill a pump days before it warns, on a working day, and at least twice a year."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from simulators.fleet import fleet_of
from simulators.visits import due_ms
from tests.simulators.bench import DAY_MS, NOON_MS

WEEK_D = 7.0


def test_refills_of_a_fleet_are_six_weeks_to_six_months_apart() -> None:
    """As its manufacturer has it; most are three or four months apart."""
    fleet = fleet_of(7, 2000)

    days = np.array(
        [
            (due_ms(pump.capacity_ml, pump.use_ml_d, NOON_MS, pump.time_zone, pump.visit_chance) - NOON_MS) / DAY_MS
            for pump in fleet
        ]
    )

    assert days.min() > 6 * WEEK_D - 3  # a week-end may come before
    assert days.max() < 182
    assert 60 < np.median(days) < 120


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.6, 0.99])
def test_a_visit_is_three_to_five_days_before_the_warning_on_a_working_day_in_opening_hours(chance: float) -> None:
    for volume_ml in np.arange(12.0, 20.0, 0.37):
        visit = datetime.fromtimestamp(
            due_ms(volume_ml, 0.4, NOON_MS, "Europe/Oslo", chance) / 1000, ZoneInfo("Europe/Oslo")
        )
        warning_ms = NOON_MS + (volume_ml - 2.0) / 0.4 * DAY_MS

        assert visit.weekday() <= 4
        assert 9 <= visit.hour < 16
        assert 2.3 < (warning_ms - visit.timestamp() * 1000) / DAY_MS < 7.8


def test_a_pump_that_is_low_already_is_seen_within_days() -> None:
    visit_ms = due_ms(2.1, 0.5, NOON_MS, "UTC", 0.5)

    assert 0 < visit_ms - NOON_MS < 3 * DAY_MS
