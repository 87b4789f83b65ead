"""A stall: no flow although the program says otherwise."""

import numpy as np
import pytest

from service.core.change import Turn
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


def test_noise_of_a_flow_sensor_raises_no_stall_in_two_pump_years() -> None:
    noise = np.random.default_rng(1)
    pumps = Pumps(100)
    minutes = 1440
    for day in range(8):
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
