"""When will the pump run dry?"""

import numpy as np
import pytest

from service.core.reading import EventType
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, event, minutes_after, readings


def draining(days: float, from_ml: float, rate_ml_d: float, *, spacing_min: int = 30) -> tuple[np.ndarray, int]:
    count = int(days * 1440 / spacing_min)
    return from_ml - rate_ml_d * np.arange(count) * spacing_min / 1440, spacing_min * MINUTE_MS


def conservative_d(left_ml: float, full_ml: float, rate_ml_d: float) -> float:
    return (left_ml - 0.076 * (full_ml - left_ml)) / (rate_ml_d * 1.076)


def test_low_medium_and_high_come_at_their_conservative_times_to_empty() -> None:
    level, spacing_ms = draining(39, 20.0, 0.5)
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(len(level), reservoir_ml=level, spacing_ms=spacing_ms))
    assert [(change.condition, change.turn, change.step) for change in pumps.turns] == [
        ("reservoir_low", "began", 1),
        ("reservoir_low", "rose", 2),
        ("reservoir_low", "rose", 3),
    ]
    # Low at 10 d (a quarter of the 40 d cycle), medium at 4 d (a tenth), high at 2 d.
    for change, limit_d in zip(pumps.turns, (10, 4, 2), strict=True):
        left_ml = 20.0 - 0.5 * minutes_after(change) / 1440
        assert conservative_d(left_ml, 20.0, 0.5) == pytest.approx(limit_d, abs=0.05)


def test_two_millilitres_are_low_whatever_the_rate() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(10, reservoir_ml=2.0, program_ml_d=0.01))
    assert [(change.condition, change.step) for change in pumps.turns] == [("reservoir_low", 1)]


def test_a_value_that_trembles_on_its_limit_raises_one_alert() -> None:
    noise = np.random.default_rng(5)
    limit_ml = (10 * 0.5 * 1.076 + 0.076 * 20) / 1.076
    pumps = Pumps()
    pumps.take(readings(2000, reservoir_ml=limit_ml + 0.1 * noise.standard_normal(2000)))
    assert pumps.told == [("reservoir_low", "began")]


def test_a_refill_ends_it() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(60, reservoir_ml=3.0))
    refill = event(EventType.REFILL, seq=60, value=19.5, at_ms=NOON_MS + 60 * MINUTE_MS)
    pumps.take(refill, readings(60, reservoir_ml=19.5, first_seq=61, start_ms=NOON_MS + 61 * MINUTE_MS))
    assert pumps.told == [("reservoir_low", "began"), ("reservoir_low", "ended")]
