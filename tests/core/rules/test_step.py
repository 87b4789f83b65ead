"""A step is about a minute of covered pump time."""

import numpy as np

from service.core.reading import EventType
from service.core.state import Field
from tests.pumps import MINUTE_MS, NOON_MS, Pumps, event, readings


def test_volumes_are_means_times_the_time_they_cover() -> None:
    pumps = Pumps()
    pumps.take(readings(31, program_ml_d=1.44, spacing_ms=1000))
    assert pumps.state[0, Field.STEP_MS] == 30_000
    assert np.isclose(pumps.state[0, Field.STEP_PROGRAM_UL], 1.44 / 86_400 * 30 * 1000)


def test_the_first_reading_after_a_gap_covers_the_usual_spacing_only() -> None:
    pumps = Pumps()
    pumps.take(readings(4, spacing_ms=10_000))
    pumps.take(readings(1, first_seq=20, start_ms=NOON_MS + 600_000))
    assert pumps.state[0, Field.STEP_MS] == 40_000


def test_a_reading_after_the_clock_was_set_covers_the_usual_spacing_only() -> None:
    pumps = Pumps()
    pumps.take(readings(3, spacing_ms=10_000))
    pumps.take(
        event(EventType.CLOCK_SET, seq=3, value=0.0), readings(1, first_seq=4, start_ms=NOON_MS + 40 * MINUTE_MS)
    )
    assert pumps.state[0, Field.STEP_MS] == 30_000


def test_time_that_runs_backwards_covers_nothing() -> None:
    pumps = Pumps()
    pumps.take(readings(3, spacing_ms=10_000), readings(1, first_seq=3, start_ms=NOON_MS - 3_600_000))
    assert pumps.state[0, Field.STEP_MS] == 20_000


def test_a_mean_over_more_than_an_hour_covers_an_hour() -> None:
    pumps = Pumps()
    pumps.take(readings(2, spacing_ms=7_200_000))
    assert pumps.state[0, Field.HOUR_ALL_MS] == 3_600_000


def test_so_does_the_first_reading_after_a_gap_that_ends_with_an_event() -> None:
    pumps = Pumps()
    pumps.take(readings(5))
    began_ms = NOON_MS + 50 * MINUTE_MS
    pumps.take(event(EventType.STARTED, seq=0, boot=2, code="power_on", at_ms=began_ms - 30_000))
    pumps.take(readings(1, flow=0.0, boot=2, first_seq=1, start_ms=began_ms))
    assert pumps.state[0, Field.HOUR_ALL_MS] == 5 * MINUTE_MS
    assert pumps.turns == [], "one minute without flow is no stall, however long the pump was off"
