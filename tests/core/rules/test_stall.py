"""A stall: no flow although the program says otherwise."""

import numpy as np
import pytest

from service.core.change import Turn
from service.core.reading import EventType
from tests.histories import history
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, Pumps, minutes_after, readings


@pytest.mark.parametrize(("program_ml_d", "minutes_to_ten_ul"), [(1.0, 14.4), (0.5, 28.8), (0.3, 48), (0.1, 144)])
def test_a_stall_shows_once_ten_microlitres_and_twenty_minutes_are_missed(
    program_ml_d: float, minutes_to_ten_ul: float
) -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(60, program_ml_d=program_ml_d))
    (began,) = pumps.take(
        readings(200, flow=0.0, program_ml_d=program_ml_d, first_seq=60, start_ms=NOON_MS + 60 * MINUTE_MS)
    )
    assert (began.condition, began.turn) == ("stall", Turn.BEGAN)
    delay = minutes_after(began) - 59  # the last good reading
    assert delay == pytest.approx(max(20, np.ceil(minutes_to_ten_ul)), abs=1)
    assert began.began_ms == NOON_MS + 59 * MINUTE_MS
    assert began.evidence["missed_ul"] >= 10


def test_a_stall_shows_as_fast_however_often_the_pump_reports() -> None:
    delays = []
    for spacing_ms in (1_000, 10_000, MINUTE_MS):
        pumps = Pumps()
        before, after = 3_600_000 // spacing_ms, 5_400_000 // spacing_ms
        pumps.take(readings(before, spacing_ms=spacing_ms))
        start_ms = NOON_MS + before * spacing_ms
        (began,) = pumps.take(readings(after, flow=0.0, spacing_ms=spacing_ms, first_seq=before, start_ms=start_ms))
        delays.append((began.at_ms - start_ms) / MINUTE_MS)
    assert max(delays) - min(delays) <= 1.5


def test_a_stopped_pump_does_not_stall_and_a_stall_does_not_end_by_stopping() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(300, flow=0.0, program_ml_d=0.0))
    assert pumps.turns == []
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(60), readings(60, flow=0.0, first_seq=60, start_ms=NOON_MS + 60 * MINUTE_MS))
    pumps.take(readings(300, program_ml_d=0.0, first_seq=120, start_ms=NOON_MS + 120 * MINUTE_MS))
    assert pumps.told == [("stall", "began")]


def test_a_stall_ends_after_half_an_hour_of_flow_and_not_at_the_first_twitch() -> None:
    pumps = Pumps(facts=ROTOR)
    flow = np.ones(240)
    flow[60:120] = 0.0
    flow[130:132] = 0.0  # a twitch of ten minutes is not a recovery
    pumps.take(readings(240, flow=flow))
    assert pumps.told == [("stall", "began"), ("stall", "ended")]
    assert minutes_after(pumps.turns[1]) == pytest.approx(131 + 30, abs=1)


def test_a_gap_does_not_count_as_time_stalled() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(readings(60))
    pumps.take(readings(5, flow=0.0, first_seq=60, start_ms=NOON_MS + 60 * MINUTE_MS))
    # Three hours and 180 positions later the pump is heard again, still without flow: five minutes are known, not 185.
    pumps.take(readings(5, flow=0.0, first_seq=245, start_ms=NOON_MS + 245 * MINUTE_MS))
    assert pumps.turns == []


def test_noise_of_a_flow_sensor_raises_no_stall_in_a_pump_year() -> None:
    noise = np.random.default_rng(1)
    pumps = Pumps(100)
    minutes = 1440
    for day in range(4):
        flow = np.clip(1 + 0.15 * noise.standard_normal((100, minutes)), 0, None)
        pumps.take(
            *(
                readings(
                    minutes,
                    flow=flow[pump],
                    pump=pump,
                    first_seq=day * minutes,
                    start_ms=NOON_MS + day * minutes * MINUTE_MS,
                )
                for pump in range(100)
            )
        )
    assert pumps.turns == []


def test_what_the_pump_calls_a_stall_is_one_at_once_and_only_flow_ends_it() -> None:
    raised, cleared = EventType.DEVICE_ALARM_RAISED, EventType.DEVICE_ALARM_CLEARED
    pumps = Pumps(facts=ROTOR)
    flow = [1.0] * 60 + [0.0] * 60 + [1.0] * 60
    pumps.take(history(flow, (65, raised, "motor_stall"), (70, cleared, "motor_stall"), (71, raised, "memory_error")))
    stall = [change for change in pumps.turns if change.condition == "stall"]
    assert [(change.turn, change.step, minutes_after(change)) for change in stall] == [
        ("began", 2, 65),
        ("ended", 2, 149),
    ]
    assert stall[0].began_ms == NOON_MS + 59 * MINUTE_MS  # since when the flow has shown it
    assert stall[0].evidence["said_by_pump"] == 1


def test_at_a_small_rate_the_noise_of_a_sensor_at_rest_hides_no_stall() -> None:
    """At 0.1 mL/d its noise is a fifth of the program, and counts upwards."""
    noise = np.random.default_rng(7)
    at_rest = np.clip(0.2 * noise.standard_normal(240), 0, None)
    pumps = Pumps()
    pumps.take(history([1.0] * 60 + at_rest.tolist(), program_ml_d=0.1))
    began = next(change for change in pumps.turns if change.condition == "stall")
    assert minutes_after(began) - 59 <= 1.3 * (144 + 2)


@pytest.mark.parametrize("spacing_min", [5, 15, 60])
def test_a_pump_that_reports_less_often_shows_a_stall_within_two_readings_of_the_bound(spacing_min: int) -> None:
    pumps = Pumps(facts=ROTOR)
    flow = np.where(np.arange(40) < 20, 1.0, 0.0)
    pumps.take(readings(40, flow=flow, spacing_ms=spacing_min * MINUTE_MS))
    began = next(change for change in pumps.turns if change.condition == "stall")
    assert minutes_after(began) - 19 * spacing_min <= 28.8 + 2 * spacing_min
