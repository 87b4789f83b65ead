"""Does a measured reservoir empty as the measured flow says?"""

import numpy as np
import pytest

from service.core.reading import EventType
from service.core.state import Field
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, SENSOR, Pumps, event, readings

HOUR_MS = 60 * MINUTE_MS
ROTOR_WITH_LEVEL = ROTOR._replace(reservoir_sensor=True, capacity_ml=40.0)


def levels(hours: int, share: float | np.ndarray, *, from_ml: float = 35.0, seed: int | None = None) -> np.ndarray:
    """The level each half hour at 0.5 mL/d times `share`, with a correlated noise of 0.05 mL and τ 12 h by `seed`."""
    falls = np.cumsum(np.full(2 * hours, 0.5 / 48) * share)
    noise = np.zeros(2 * hours)
    if seed is not None:
        draw, kept = np.random.default_rng(seed), np.exp(-0.5 / 12)
        noise[0] = draw.standard_normal()
        for each in range(1, len(noise)):
            noise[each] = kept * noise[each - 1] + np.sqrt(1 - kept**2) * draw.standard_normal()
    return from_ml - falls + 0.05 * noise


def watched(level: np.ndarray, facts: object = ROTOR_WITH_LEVEL) -> Pumps:
    pumps = Pumps(facts=facts)
    pumps.take(readings(len(level), reservoir_ml=level, spacing_ms=HOUR_MS // 2))
    return pumps


def of_level(pumps: Pumps) -> list[tuple[str, float]]:
    return [
        (change.turn.value, (change.at_ms - NOON_MS) / HOUR_MS)
        for change in pumps.turns
        if change.condition == "level_deviation"
    ]


@pytest.mark.parametrize(
    ("share", "days"),
    [
        (2.0, 0.5 / (0.7775 * 0.5)),
        (1.5, 0.5 / (0.2775 * 0.5)),
        (0.5, 0.5 / (0.2775 * 0.5)),
        (0.0, 0.5 / (0.7775 * 0.5)),
    ],
)
def test_a_rotor_that_turns_as_told_is_contradicted_by_the_level_after_decision_over_excess(
    share: float, days: float
) -> None:
    onset_h = 100
    level = levels(400, np.where(np.arange(800) < 2 * onset_h, 1.0, share))
    pumps = watched(level)
    (began,) = [change for change in pumps.turns if change.condition == "level_deviation"]
    assert (began.at_ms - NOON_MS) / HOUR_MS - onset_h == pytest.approx(days * 24, abs=3)
    assert (began.began_ms - NOON_MS) / HOUR_MS == pytest.approx(onset_h, abs=3)
    assert began.evidence["too_fast_ml" if share > 1 else "too_slow_ml"] >= 0.5


@pytest.mark.parametrize("share", [0.855, 1.0, 1.145])
def test_a_bias_within_the_tolerance_never_accumulates_however_long(share: float) -> None:
    assert of_level(watched(levels(900, share, seed=4))) == []


def test_the_noise_of_the_level_enters_twice_and_does_not_add_up() -> None:
    pumps = watched(levels(900, 1.0, seed=8))
    assert max(pumps.state[0, Field.LEVEL_FAST_ML], pumps.state[0, Field.LEVEL_SLOW_ML]) < 0.3


def test_it_is_over_when_the_level_falls_as_it_should_again_or_with_the_refill() -> None:
    level = levels(700, np.where((np.arange(1400) >= 200) & (np.arange(1400) < 440), 2.0, 1.0))
    assert [turn for turn, _ in of_level(watched(level))] == ["began", "ended"]
    pumps = watched(levels(200, np.where(np.arange(400) < 200, 1.0, 2.0)))
    at_ms = NOON_MS + 200 * HOUR_MS
    pumps.take(
        event(EventType.REFILL, seq=400, value=40.0, at_ms=at_ms),
        readings(20, first_seq=401, start_ms=at_ms, spacing_ms=HOUR_MS // 2, reservoir_ml=levels(10, 1.0, from_ml=40)),
    )
    assert [turn for turn, _ in of_level(pumps)] == ["began", "ended"]


def test_a_value_that_trembles_on_its_limit_makes_one_alert() -> None:
    share = np.where(np.arange(1200) < 200, 1.0, 1.2225)
    share[200:262] = 2.2  # to just about the decision, and then along it
    level = levels(600, share) + 0.02 * np.random.default_rng(3).standard_normal(1200)
    assert len(of_level(watched(level))) <= 1


def test_a_gap_is_bridged_without_evidence() -> None:
    pumps = watched(levels(100, 1.0))
    # Two days later the level is 3 mL lower: nobody knows what was delivered meanwhile.
    after = levels(100, 1.0, from_ml=30.0)
    pumps.take(
        readings(
            len(after), first_seq=296, start_ms=NOON_MS + 148 * HOUR_MS, spacing_ms=HOUR_MS // 2, reservoir_ml=after
        )
    )
    assert of_level(pumps) == []


def test_a_flow_sensor_that_sees_the_excess_explains_the_level_and_a_computed_level_is_never_judged() -> None:
    level = levels(100, 2.0)
    pumps = Pumps(facts=SENSOR)
    pumps.take(readings(200, flow=2.0, reservoir_ml=level, spacing_ms=HOUR_MS // 2))
    assert of_level(pumps) == []
    assert of_level(watched(levels(300, 2.0), ROTOR)) == []


def test_it_is_over_for_a_pump_that_measures_its_level_no_longer_by_the_registry() -> None:
    pumps = watched(levels(200, np.where(np.arange(400) < 100, 1.0, 2.0)))
    assert [turn for turn, _ in of_level(pumps)] == ["began"]
    pumps.limits = Pumps(facts=ROTOR).limits
    pumps.take(readings(6, reservoir_ml=20.0, first_seq=400, start_ms=NOON_MS + 200 * HOUR_MS, spacing_ms=HOUR_MS // 2))
    assert [turn for turn, _ in of_level(pumps)] == ["began", "ended"]
