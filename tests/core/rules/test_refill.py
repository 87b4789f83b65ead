"""Is what was drawn off what should have been left, and did the refill go into the pump?"""

import numpy as np
import pytest

from service.core.reading import EventType
from service.core.state import Field
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, SENSOR, Pumps, event, minutes_after, readings

DAY_MS = 86_400_000


class Clinic(Pumps):
    """One pump at 0.5 mL/d that comes for refills; readings hourly, the level as computed, or as `bias` has it."""

    def __init__(self, *, sensor: bool = False, bias: float = 0.0) -> None:
        super().__init__(facts=SENSOR if sensor else ROTOR)
        self.seq, self.at_ms, self.level_ml, self.bias = 0, NOON_MS, 20.0, bias if sensor else 0.0

    def lives(self, days: float, *, spacing_min: int = 60) -> None:
        count = int(days * 1440 / spacing_min)
        falls_ml = 0.5 * (1 + self.bias) * spacing_min / 1440 * np.arange(1, count + 1)
        level_ml = np.clip(self.level_ml - falls_ml, 0, None)
        start_ms = self.at_ms + spacing_min * MINUTE_MS
        self.take(
            readings(
                count,
                flow=1 + self.bias,
                reservoir_ml=level_ml,
                first_seq=self.seq,
                spacing_ms=spacing_min * MINUTE_MS,
                start_ms=start_ms,
            )
        )
        self.seq, self.at_ms, self.level_ml = self.seq + count, self.at_ms + round(days * DAY_MS), float(level_ml[-1])

    def is_refilled(self, *, off_ml: float = 0.0, beside: float = 0.0) -> None:
        """What is drawn off is `off_ml` more than the level; of 20 mL this share goes `beside` the pump."""
        self.take(
            event(EventType.REFILL, seq=self.seq, value=20.0, second=self.level_ml + off_ml, at_ms=self.at_ms + 1000)
        )
        self.seq += 1
        self.level_ml = 20.0 * (1 - beside)

    @property
    def of_refill(self) -> list[tuple[str, int]]:
        return [(change.turn.value, change.step) for change in self.turns if change.condition == "refill_mismatch"]


@pytest.mark.parametrize(("off_ml", "told"), [(3.0, []), (-3.0, []), (3.2, [("began", 1)]), (-3.2, [("began", 1)])])
def test_a_refill_may_be_off_by_the_tolerance_of_what_was_delivered_and_of_drawing_off(
    off_ml: float, told: list[tuple[str, int]]
) -> None:
    clinic = Clinic()
    clinic.is_refilled()
    clinic.lives(30)  # 15 mL: 14.5 % of that and 0.9 mL are 3.075 mL
    clinic.is_refilled(off_ml=off_ml)
    assert clinic.of_refill == told


def test_a_later_refill_that_agrees_ends_it() -> None:
    clinic = Clinic()
    for off_ml in (0.0, 4.0, 4.0, 0.1):
        clinic.lives(30)
        clinic.is_refilled(off_ml=off_ml)
    assert clinic.of_refill == [("began", 1), ("ended", 1)]


def test_a_measured_level_that_does_not_rise_is_a_suspected_pocket_fill_within_minutes() -> None:
    clinic = Clinic(sensor=True)
    clinic.lives(30)
    clinic.is_refilled(beside=0.3)
    clinic.lives(0.1, spacing_min=1)
    assert clinic.of_refill == [("began", 2)]
    began = clinic.turns[-1]
    assert minutes_after(began, NOON_MS + 30 * DAY_MS) == pytest.approx(3, abs=1)
    assert began.began_ms == NOON_MS + 30 * DAY_MS + 1000
    assert began.evidence["short_ml"] == pytest.approx(6.0, abs=0.1)
    # The refill is done again, and this time it is as it should be.
    clinic.is_refilled()
    assert clinic.of_refill[1:] == [("ended", 2)]


def test_a_measured_level_that_rises_as_it_should_says_nothing() -> None:
    for bias in (-0.1, 0.0, 0.1):
        clinic = Clinic(sensor=True, bias=bias)
        for off_ml in (0.0, 0.5, -0.6):
            clinic.lives(25)
            clinic.is_refilled(off_ml=off_ml)
            clinic.lives(0.1, spacing_min=1)
        assert {condition for condition, _ in clinic.told} <= {"reservoir_low"}


def test_a_computed_level_shows_a_pocket_fill_only_at_the_next_visit() -> None:
    clinic = Clinic()
    clinic.lives(30)
    clinic.is_refilled()
    clinic.lives(0.25)
    assert clinic.of_refill == []
    clinic.is_refilled(off_ml=-14.0)  # a second look on the same day
    assert clinic.of_refill == [("began", 2)]
    later = Clinic()
    later.is_refilled()
    later.lives(20)
    later.is_refilled(off_ml=-8.0)  # much less than was put in
    assert later.of_refill == [("began", 1)]  # the first refill is not known to have put anything in
    later.lives(20)
    later.is_refilled(off_ml=-8.0)
    assert later.of_refill == [("began", 1), ("rose", 2)]


def test_every_refill_narrows_what_the_conservative_time_to_empty_allows_for() -> None:
    clinic = Clinic()
    spans = []
    clinic.is_refilled()
    for _ in range(4):
        clinic.lives(30)
        spans.append(clinic.state[0, Field.EMPTY_OPTIMISTIC_D] - clinic.state[0, Field.EMPTY_IN_D])
        clinic.is_refilled(off_ml=-15 * 0.05)  # 5 % more than computed has left
    assert spans == sorted(spans, reverse=True)
    state = clinic.state[0]
    assert state[Field.BIAS_SUM] / state[Field.BIAS_INFORMATION] == pytest.approx(0.05, abs=1e-6)
    # About 5 % ± 1.645 · 1.5 %: less than the 7.6 % of a pump of which nothing is known would be wrong here.
    left_ml, rate_ml_d = 12.0, 0.5
    state[Field.RESERVOIR_ML] = left_ml
    clinic.level_ml = left_ml
    clinic.lives(0.2)
    conservative = clinic.state[0, Field.EMPTY_IN_D]
    assert (left_ml - 0.09 * 8) / (rate_ml_d * 1.09) < conservative < (left_ml - 0.06 * 8) / (rate_ml_d * 1.06)


def test_what_a_sensor_pump_should_have_left_is_known_across_days_that_nobody_heard_of() -> None:
    clinic = Clinic(sensor=True)
    clinic.lives(5)
    clinic.is_refilled()
    clinic.lives(10)
    clinic.at_ms += 10 * DAY_MS
    clinic.seq += 240
    clinic.level_ml -= 5.0
    clinic.lives(10)
    clinic.is_refilled(off_ml=0.3)
    assert clinic.of_refill == []
    assert clinic.state[0, Field.REFILL_OFF_ML] == pytest.approx(0.3, abs=0.1)


def test_a_refill_without_what_was_drawn_off_is_not_judged() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(60, reservoir_ml=5.0), event(EventType.REFILL, seq=60, value=20.0))
    assert "refill_mismatch" not in {condition for condition, _ in pumps.told}


@pytest.mark.parametrize("sensor", [False, True])
def test_what_was_programmed_in_a_gap_before_a_refill_counts_for_that_refill_and_for_no_later_one(
    *, sensor: bool
) -> None:
    clinic = Clinic(sensor=sensor)
    clinic.is_refilled()
    clinic.lives(10)
    clinic.seq, clinic.at_ms, clinic.level_ml = clinic.seq + 240, clinic.at_ms + 10 * DAY_MS, clinic.level_ml - 5.0
    for _ in range(2):
        clinic.is_refilled()
        assert clinic.state[0, Field.REFILL_OFF_ML] == pytest.approx(0.0, abs=0.1)
        clinic.lives(10)
    assert clinic.of_refill == []
