"""When will the pump run dry, and is it dry?"""

import numpy as np
import pytest

from service.core.reading import EventType, Items, Mode
from service.core.rules.reservoir import nominal_d
from service.core.state import Field
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, SENSOR, Pumps, event, minutes_after, readings

DAY = 1440


def draining(days: float, from_ml: float, rate_ml_d: float, *, spacing_min: int = 30) -> tuple[np.ndarray, int]:
    count = int(days * DAY / spacing_min)
    return from_ml - rate_ml_d * np.arange(count) * spacing_min / DAY, spacing_min * MINUTE_MS


def conservative_d(left_ml: float, full_ml: float, rate_ml_d: float) -> float:
    return (left_ml - 0.076 * (full_ml - left_ml)) / (rate_ml_d * 1.076)


def alarm(kind: str, code: str, seq: int, at_min: float) -> Items:
    return event(EventType[f"DEVICE_ALARM_{kind}"], seq=seq, code=code, at_ms=NOON_MS + round(at_min * MINUTE_MS))


def refilled(seq: int, at_min: int, value: float = 19.5) -> Items:
    return event(EventType.REFILL, seq=seq, value=value, at_ms=NOON_MS + at_min * MINUTE_MS)


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
        left_ml = 20.0 - 0.5 * minutes_after(change) / DAY
        assert conservative_d(left_ml, 20.0, 0.5) == pytest.approx(limit_d, abs=0.05)
        assert (
            change.evidence["empty_in_d"] < change.evidence["empty_nominal_d"] < change.evidence["empty_optimistic_d"]
        )


def test_two_millilitres_are_low_whatever_the_rate() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(10, reservoir_ml=2.0, program_ml_d=0.01))
    assert [(change.condition, change.step) for change in pumps.turns] == [("reservoir_low", 1)]


def test_the_conservative_time_allots_the_boluses_that_the_patient_may_still_ask_for() -> None:
    plain, with_boluses = Pumps(facts=ROTOR), Pumps(facts=ROTOR._replace(bolus_daily_cap_ul=250.0))
    for pumps in (plain, with_boluses):
        pumps.take(readings(120, reservoir_ml=12.0))
    # 12 mL − 7.6 % of 8 mL, at 0.5 and at 0.75 mL/d.
    assert plain.state[0, Field.EMPTY_IN_D] == pytest.approx(conservative_d(12, 20, 0.5))
    assert with_boluses.state[0, Field.EMPTY_IN_D] == pytest.approx(conservative_d(12, 20, 0.75))
    assert nominal_d(with_boluses.state.T) == pytest.approx(24.0)


@pytest.mark.parametrize("cap_ul", [250.0, 1350.0, 5000.0])
def test_a_full_reservoir_is_not_low_however_much_the_patient_may_ask_for(cap_ul: float) -> None:
    pumps = Pumps(facts=ROTOR._replace(bolus_daily_cap_ul=cap_ul))
    pumps.take(readings(60, reservoir_ml=3.0))
    pumps.take(
        refilled(60, 60, 20.0), readings(600, reservoir_ml=20.0, first_seq=61, start_ms=NOON_MS + 61 * MINUTE_MS)
    )
    low = [str(change.turn) for change in pumps.turns if change.condition == "reservoir_low"]
    assert (low[0], low[-1]) == ("began", "ended")


def test_a_flex_program_is_judged_by_its_mean_over_about_a_day() -> None:
    program = np.where(np.arange(6 * DAY) % DAY < DAY // 2, 0.8, 0.2)
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(6 * DAY, program_ml_d=program, reservoir_ml=12.0))
    assert pumps.state[0, Field.RATE_ML_D] == pytest.approx(0.5, abs=0.12)
    assert pumps.turns == []


def test_a_value_that_trembles_on_its_limit_raises_one_alert() -> None:
    noise = np.random.default_rng(5)
    limit_ml = (10 * 0.5 * 1.076 + 0.076 * 20) / 1.076
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(2000, reservoir_ml=limit_ml + 0.1 * noise.standard_normal(2000)))
    assert pumps.told == [("reservoir_low", "began")]


def test_a_refill_ends_it() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(60, reservoir_ml=3.0))
    pumps.take(refilled(60, 60), readings(60, reservoir_ml=19.5, first_seq=61, start_ms=NOON_MS + 61 * MINUTE_MS))
    assert pumps.told == [("reservoir_low", "began"), ("reservoir_low", "ended")]


def test_what_the_pump_says_is_low_is_low_until_it_is_refilled() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(30), alarm("RAISED", "reservoir_low", 30, 29.5))
    assert [(change.condition, change.step) for change in pumps.turns] == [("reservoir_low", 1)]
    pumps.take(readings(120, first_seq=31, start_ms=NOON_MS + 30 * MINUTE_MS))
    pumps.take(refilled(151, 150), readings(120, first_seq=152, start_ms=NOON_MS + 151 * MINUTE_MS, reservoir_ml=19.5))
    assert pumps.told == [("reservoir_low", "began"), ("reservoir_low", "ended")]


@pytest.mark.parametrize("facts", [ROTOR, SENSOR])
def test_a_refill_of_which_the_event_is_lost_is_inferred_from_a_level_that_has_risen_for_two_hours(
    facts: object,
) -> None:
    pumps = Pumps(facts=facts)
    pumps.take(readings(90, reservoir_ml=1.0, flow=1.0), alarm("RAISED", "reservoir_low", 90, 89.2))
    pumps.take(alarm("RAISED", "reservoir_empty", 91, 89.3))
    wild = np.where(np.arange(150) < 40, 18.0, 1.0)  # one hour's end of a wild level is no refill
    pumps.take(readings(150, reservoir_ml=wild, first_seq=92, start_ms=NOON_MS + 90 * MINUTE_MS))
    assert {condition for condition, turn in pumps.told if turn == "ended"} == set()
    assert pumps.state[0, Field.EMPTY_SAID] == 1
    pumps.take(readings(240, reservoir_ml=19.0, first_seq=242, start_ms=NOON_MS + 240 * MINUTE_MS))
    assert sorted(pumps.told) == [
        ("reservoir_empty", "began"),
        ("reservoir_empty", "ended"),
        ("reservoir_low", "began"),
        ("reservoir_low", "ended"),
    ]
    assert pumps.state[0, Field.FULL_ML] == 19.0


def test_a_measured_level_that_drifts_and_trembles_is_no_refill() -> None:
    noise = np.random.default_rng(8)
    level_ml = 8.0 + 0.3 * np.sin(np.arange(6000) / 900) + 0.1 * noise.standard_normal(6000)
    pumps = Pumps(facts=SENSOR)
    pumps.take(readings(6000, reservoir_ml=level_ml))
    assert pumps.state[0, Field.FULL_ML] == 20.0


def test_a_computed_reservoir_is_empty_at_once_and_a_measured_one_in_three_steps() -> None:
    level = np.where(np.arange(60) < 30, 0.3, 0.15)
    for facts, minute in ((ROTOR, 30), (SENSOR, 32)):
        pumps = Pumps(facts=facts)
        pumps.take(readings(60, reservoir_ml=level))
        (began,) = [change for change in pumps.turns if change.condition == "reservoir_empty"]
        assert minutes_after(began) == minute
        assert began.began_ms == NOON_MS + 30 * MINUTE_MS


def test_a_measured_level_that_trembles_on_empty_makes_one_alert_that_half_an_hour_after_the_refill_ends() -> None:
    level = 0.2 + 0.05 * np.random.default_rng(2).standard_normal(1000)
    pumps = Pumps(facts=SENSOR)
    pumps.take(readings(1000, reservoir_ml=np.clip(level, 0, None), flow=0.2))
    refill = refilled(1000, 1000)
    pumps.take(refill, readings(60, first_seq=1001, start_ms=NOON_MS + 1001 * MINUTE_MS, reservoir_ml=19.5))
    empty = [change for change in pumps.turns if change.condition == "reservoir_empty"]
    assert [change.turn for change in empty] == ["began", "ended"]
    assert minutes_after(empty[1]) == pytest.approx(1030, abs=1)


def test_empty_by_the_pumps_own_word_is_told_at_the_event_and_does_not_end_while_it_says_so() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(30), alarm("RAISED", "reservoir_empty", 30, 29.5))
    assert pumps.told == [("reservoir_empty", "began")]
    pumps.take(readings(120, first_seq=31, start_ms=NOON_MS + 30 * MINUTE_MS))
    assert len(pumps.turns) == 1
    pumps.take(alarm("CLEARED", "reservoir_empty", 151, 150.5))
    pumps.take(readings(60, first_seq=152, start_ms=NOON_MS + 151 * MINUTE_MS))
    assert pumps.told[1:] == [("reservoir_empty", "ended")]


def test_a_pump_that_is_first_heard_within_a_bolus_is_not_taken_to_deliver_at_that_rate() -> None:
    given = readings(300, program_ml_d=np.where(np.arange(300) < 4, 20.0, 0.5), reservoir_ml=18.0)
    given["mode"][:4] = Mode.BOLUS
    pumps = Pumps(facts=ROTOR)
    pumps.take(given)
    assert pumps.told == []
