"""Simulated pumps behave as published pumps do, and publish no more than such pumps can know."""

import numpy as np
import pytest

from simulators.pump import BIAS_LIMIT, Demand, Measured, Nature, Pumps, calibration_bias

MINUTE_S, HOUR_S = 60.0, 3600.0


def pumps(count: int, *, sensor: bool = False, bias: float = 0.0, full_ml: float = 20.0, first: int = 1) -> Pumps:
    return Pumps(
        7,
        Nature(
            number=np.arange(first, first + count),
            sensor=np.full(count, sensor),
            bias=np.full(count, bias),
            reservoir_ml=np.full(count, full_ml),
            true_ml=np.full(count, full_ml),
            battery_used=np.zeros(count),
        ),
    )


def demand(of: Pumps, program_ml_d: float, *, advance: float = 1.0, output: float = 1.0) -> Demand:
    count = len(of.true_ml)
    return Demand(
        np.full(count, program_ml_d), np.zeros(count, np.int64), np.full(count, advance), np.full(count, output)
    )


def run(of: Pumps, wanted: Demand, steps: int, span_s: float = MINUTE_S) -> Measured:
    """Columns [step, pump]."""
    measured = [of.advance(span_s, wanted) for _ in range(steps)]
    return Measured(*(np.stack(column) for column in zip(*measured, strict=True)))


def test_calibration_bias_has_the_published_mean_and_never_exceeds_the_labelled_accuracy() -> None:
    bias = calibration_bias(7, np.arange(50_000))

    assert abs(bias.mean() - 0.01) < 0.0006
    assert abs(bias.std() - 0.04) < 0.0006
    assert abs(bias).max() <= BIAS_LIMIT
    assert (calibration_bias(7, np.arange(100)) == bias[:100]).all()


@pytest.mark.parametrize(("program_ml_d", "days"), [(0.1, 180), (0.3, 60), (0.5, 36), (1.0, 18)])
def test_twenty_millilitres_last_until_two_are_left_as_long_as_published(program_ml_d: float, days: float) -> None:
    fleet = pumps(1)

    levels = run(fleet, demand(fleet, program_ml_d), days * 24 + 24, HOUR_S).reservoir_ml[:, 0]

    assert np.argmax(levels <= 2.0) / 24 == pytest.approx(days, abs=0.1)


def test_a_bias_of_eleven_percent_empties_the_reservoir_when_the_pump_computes_two_millilitres() -> None:
    fleet = pumps(1, bias=0.111)
    wanted = demand(fleet, 0.5)

    while fleet.true_ml[0] > 0.01:
        fleet.advance(HOUR_S, wanted)

    assert fleet.computed_ml[0] == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(("program_ml_d", "hours"), [(1.0, 0.24), (0.5, 0.48), (0.3, 0.8), (0.1, 2.4), (0.048, 5.0)])
def test_a_stall_is_knowable_once_ten_microlitres_are_missing(program_ml_d: float, hours: float) -> None:
    fleet = pumps(1)
    measured = run(fleet, demand(fleet, program_ml_d, advance=0.0), 400)

    missing_ul = np.cumsum(measured.program_ml_d - measured.flow_ml_d) / 86.4 * MINUTE_S

    assert (np.argmax(missing_ul[:, None] >= 10.0) + 1) / 60 == pytest.approx(hours, abs=1 / 30)


def test_a_rotor_counts_the_program_to_the_step_and_cannot_see_a_bias_or_an_over_infusion() -> None:
    fleet = pumps(50, bias=0.1)

    measured = run(fleet, demand(fleet, 0.437, output=1.5), 1440)

    assert measured.flow_ml_d.mean(axis=0) == pytest.approx(0.437, abs=5e-5)  # the wire rounds
    assert abs(measured.flow_ml_d - 0.437).max() <= 0.0002
    assert measured.delivered_ul[-1] == pytest.approx(437.0, abs=0.02)
    assert fleet.true_ul == pytest.approx(437.0 * 1.1 * 1.5, rel=1e-4)


def test_missed_steps_are_seen_by_the_rotor() -> None:
    fleet = pumps(20)

    flow = run(fleet, demand(fleet, 0.5, advance=0.6), 600).flow_ml_d

    assert flow.mean() == pytest.approx(0.3, rel=0.001)


def test_a_computed_reservoir_keeps_falling_through_a_stall_while_the_true_one_does_not() -> None:
    fleet = pumps(1)
    run(fleet, demand(fleet, 0.5, advance=0.0), 1440)

    assert fleet.computed_ml[0] == pytest.approx(19.5)
    assert fleet.true_ml[0] == 20.0


def test_an_empty_pump_delivers_nothing_while_its_rotor_turns() -> None:
    fleet = pumps(1, full_ml=0.1)
    measured = run(fleet, demand(fleet, 0.5), 24, HOUR_S)

    assert fleet.true_ml[0] == 0.0
    assert fleet.true_ul[0] == pytest.approx(100.0)
    assert measured.flow_ml_d[-1, 0] == pytest.approx(0.5, abs=1e-4)
    assert measured.reservoir_ml.min() == 0.0


def test_sensor_noise_is_white_fifteen_percent_and_a_drift_of_three_percent_over_six_hours() -> None:
    fleet = pumps(400, sensor=True)
    flow = run(fleet, demand(fleet, 0.5), 2880).flow_ml_d
    error = flow / 0.5 - 1

    def shared(minutes: int) -> float:
        return float((error[:-minutes] * error[minutes:]).mean())

    assert error.std() == pytest.approx(np.hypot(0.15, 0.03), rel=0.01)
    assert shared(1) == pytest.approx(0.03**2, rel=0.15)
    assert shared(360) == pytest.approx(0.03**2 * np.exp(-1), rel=0.3)


def test_noise_is_at_least_two_hundredths_of_a_millilitre_a_day() -> None:
    fleet = pumps(200, sensor=True, full_ml=40.0)

    flow = run(fleet, demand(fleet, 0.1), 600).flow_ml_d

    assert flow.std() == pytest.approx(np.hypot(0.02, 0.003), rel=0.02)


def test_the_mean_of_noisy_seconds_is_that_of_minutes_although_no_reading_is_below_zero() -> None:
    fleet = pumps(400, sensor=True, bias=0.05)

    seconds = run(fleet, demand(fleet, 0.5), 1200, 1.0).flow_ml_d
    minutes = seconds.reshape(20, 60, -1).mean(axis=1)

    assert seconds.min() == 0.0
    assert minutes.mean() / 0.5 == pytest.approx(1.05, abs=0.01)
    assert (minutes / 0.5).std() == pytest.approx(np.hypot(0.15, 0.03), rel=0.05)


def test_a_stopped_or_stalled_sensor_pump_shows_next_to_no_flow_and_shows_it_again_at_once() -> None:
    fleet = pumps(200, sensor=True)
    stalled = run(fleet, demand(fleet, 0.5, advance=0.0), 600).flow_ml_d
    again = run(fleet, demand(fleet, 0.5), 3).flow_ml_d

    assert stalled.mean() < 0.05 * 0.5
    assert again.mean(axis=1)[1:] == pytest.approx(0.5, rel=0.05)


def test_a_pump_is_the_same_in_any_company() -> None:
    many, one = pumps(50, sensor=True), pumps(1, sensor=True, first=33)

    together = run(many, demand(many, 0.5), 100)
    alone = run(one, demand(one, 0.5), 100)

    for crowd, single in zip(together[1:5], alone[1:5], strict=True):
        assert (crowd[:, 32] == single[:, 0]).all()


def test_a_refill_fills_and_what_was_aspirated_is_near_what_was_left() -> None:
    fleet = pumps(300, bias=0.05, full_ml=20.0)
    run(fleet, demand(fleet, 0.5), 20 * 24, HOUR_S)
    left_ml = fleet.true_ml[0]

    came_out = np.array([fleet.refill(pump, 20.0) for pump in range(300)])

    assert left_ml == pytest.approx(20 - 10 * 1.05)
    assert came_out[:, 0].mean() == pytest.approx(left_ml - 0.1, abs=0.06)
    assert came_out[:, 0].std() == pytest.approx(0.3, rel=0.15)
    assert came_out[:, 1] == pytest.approx(10.0)
    assert (fleet.true_ml == 20.0).all()
    assert (fleet.computed_ml == 20.0).all()


def test_the_battery_falls_slowly_and_then_has_its_knee() -> None:
    fleet = pumps(1, full_ml=4000.0)
    wanted = demand(fleet, 0.5)
    year = [float(fleet.advance(86400.0, wanted).battery_v[0]) for _ in range(2400)]

    assert year[365] > 3.0
    assert year[2000] > 2.7
    assert year[2300] < 2.65
