"""Simulated pumps behave as published pumps do, and publish no more than such pumps can know."""

from collections.abc import Callable

import numpy as np
import pytest

from simulators.fleet import fleet_of, nature_of
from simulators.patients import Boluses
from simulators.programs import STOPPED, Program, priming
from simulators.pump import BIAS_LIMIT, Measured, Pumps, calibration_bias
from tests.simulators.bench import DAY_MS, HOUR_MS, MINUTE_MS, NOON_MS, pumps, run, with_wrong


def test_calibration_bias_has_the_published_mean_and_never_exceeds_the_labelled_accuracy() -> None:
    bias = calibration_bias(7, np.arange(50_000))

    assert abs(bias.mean() - 0.01) < 0.0006
    assert abs(bias.std() - 0.04) < 0.0006
    assert abs(bias).max() <= BIAS_LIMIT
    assert (calibration_bias(7, np.arange(100)) == bias[:100]).all()


def test_over_six_months_a_fleet_delivers_a_percent_more_than_programmed_and_each_refill_shows_its_pump() -> None:
    """Coffey and Wesemann: +1 % at six months; per refill +2.5 % in the clinic and -2.4 % in the laboratory."""
    count = 400
    fleet = pumps(count, 0.4, bias=calibration_bias(7, np.arange(count)), full_ml=40.0)
    shown = []
    for _ in range(2):
        run(fleet, 80 * 24, HOUR_MS)
        residuals = np.array([fleet.refill(pump, 40.0) for pump in range(count)])
        shown.append((residuals[:, 1] - residuals[:, 0]) / (0.4 * 80))

    flow_error = fleet.true_ul / (0.4 * 160 * 1000) - 1
    assert flow_error.mean() == pytest.approx(0.01, abs=0.005)
    assert abs(flow_error).max() <= BIAS_LIMIT
    # What the syringe leaves behind looks like drug delivered: 0.1 mL of 32 on average.
    for per_refill in shown:
        assert -0.024 < per_refill.mean() < 0.025
        assert per_refill.mean() == pytest.approx(flow_error.mean() + 0.1 / 32, abs=0.002)
        assert per_refill.std() == pytest.approx(np.hypot(flow_error.std(), 0.3 / 32), rel=0.1)
    # Two refills of a pump agree within what aspiration errs: the bias is the pump's own.
    assert (shown[0] - shown[1]).std() == pytest.approx(np.sqrt(2) * 0.305 / 32, rel=0.15)


@pytest.mark.parametrize(
    ("full_ml", "program_ml_d", "days"),
    [
        (20.0, 0.1, 180),
        (20.0, 0.3, 60),
        (20.0, 0.5, 36),
        (20.0, 1.0, 18),
        (40.0, 0.1, 380),
        (40.0, 0.3, 126.7),
        (40.0, 0.5, 76),
        (40.0, 1.0, 38),
    ],
)
def test_a_reservoir_lasts_until_two_millilitres_are_left_as_long_as_published(
    full_ml: float, program_ml_d: float, days: float
) -> None:
    fleet = pumps(1, program_ml_d, full_ml=full_ml)

    levels = run(fleet, round(days) * 24 + 48, HOUR_MS).reservoir_ml[:, 0]

    assert np.argmax(levels <= 2.0) / 24 == pytest.approx(days, abs=0.1)


@pytest.mark.parametrize(("bias", "full_ml"), [(0.111, 20.0), (0.0526, 40.0)])
def test_a_bias_within_the_label_empties_the_reservoir_when_the_pump_computes_two_millilitres(
    bias: float, full_ml: float
) -> None:
    fleet = pumps(1, bias=bias, full_ml=full_ml)

    while fleet.true_ml[0] > 0.01:
        run(fleet, 1, HOUR_MS)

    assert fleet.computed_ml[0] == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(("program_ml_d", "hours"), [(1.0, 0.24), (0.5, 0.48), (0.3, 0.8), (0.1, 2.4), (0.048, 5.0)])
def test_a_stall_is_knowable_once_ten_microlitres_are_missing(program_ml_d: float, hours: float) -> None:
    fleet = pumps(1, program_ml_d)
    measured = run(fleet, 400, advance=0.0)

    missing_ul = np.cumsum(measured.program_ml_d - measured.flow_ml_d) / 86.4 * 60

    assert (np.argmax(missing_ul >= 10.0) + 1) / 60 == pytest.approx(hours, abs=1 / 30)


def test_a_rotor_counts_the_program_to_the_step_and_cannot_see_a_bias_or_an_over_infusion() -> None:
    fleet = pumps(50, 0.437, bias=0.1)

    measured = run(fleet, 1440, output=1.5)

    assert measured.flow_ml_d.mean(axis=0) == pytest.approx(0.437, abs=5e-5)  # the wire rounds
    assert abs(measured.flow_ml_d - 0.437).max() <= 0.0002
    assert measured.delivered_ul[-1] == pytest.approx(437.0, abs=0.02)
    assert fleet.true_ul == pytest.approx(437.0 * 1.1 * 1.5, rel=1e-4)


@pytest.mark.parametrize("wrong", [{"output": 0.0}, {"leak": 0.8}, {"free_ml_d": 3.0}, {"drain": 1.1}])
def test_what_goes_wrong_behind_or_beside_the_rotor_changes_nothing_that_a_rotor_pump_measures(
    wrong: dict[str, float],
) -> None:
    healthy, broken = run(pumps(3), 600), run(pumps(3), 600, **wrong)

    for column in ("flow_ml_d", "reservoir_ml", "delivered_ul", "program_ml_d"):
        assert (getattr(healthy, column) == getattr(broken, column)).all()


def test_a_leak_loses_drug_behind_the_pump_and_a_dump_empties_the_reservoir_without_a_step() -> None:
    leaking, dumping, healthy = pumps(1, dead_ul=0), pumps(1), pumps(1)
    for fleet, wrong in ((leaking, {"leak": 0.8}), (dumping, {"free_ml_d": 3.0}), (healthy, {})):
        run(fleet, 1440, **wrong)

    assert leaking.true_ml == healthy.true_ml == pytest.approx(19.5)
    assert leaking.reached_ul == pytest.approx(100.0, rel=1e-6)
    assert dumping.true_ml == pytest.approx(16.5)


def test_an_empty_pump_delivers_nothing_while_its_rotor_turns() -> None:
    fleet = pumps(1, full_ml=0.1)
    measured = run(fleet, 24, HOUR_MS)

    assert fleet.true_ml[0] == 0.0
    assert fleet.true_ul[0] == pytest.approx(100.0)
    assert measured.flow_ml_d[-1, 0] == pytest.approx(0.5, abs=1e-4)
    assert measured.reservoir_ml.min() == 0.0


def test_a_sensor_sees_what_a_rotor_cannot() -> None:
    fleet = pumps(100, sensor=True, bias=0.05)

    occluded = run(fleet, 600, output=0.5)
    wide_open = run(fleet, 600, free_ml_d=0.25)

    assert occluded.flow_ml_d.mean() == pytest.approx(0.5 * 0.5 * 1.05, rel=0.01)
    assert wide_open.flow_ml_d.mean() == pytest.approx(0.5 * 1.05 + 0.25, rel=0.01)
    assert np.isnan(occluded.delivered_ul).all()


def test_a_pump_is_the_same_in_any_company() -> None:
    many, one = pumps(50, sensor=True), pumps(1, sensor=True, first=33)

    for crowd, single in zip(run(many, 100)[:5], run(one, 100)[:5], strict=True):
        assert (crowd[:, 32] == single[:, 0]).all()


@pytest.mark.parametrize("parts", [[240], [1] * 240, [7, 100, 1, 1, 59, 72]])
def test_the_same_seed_gives_the_same_readings_however_the_spans_are_cut(parts: list[int]) -> None:
    """Everything at once: flex, boluses, a commanded stop, missed steps, a sensor that owes, and an empty reservoir."""
    flex = Program.flex([[(0, 0.3), (13 * 60 + 7, 0.9), (14 * 60, 0.05)]])
    wishing = Boluses(dose_ul=20.0, duration_s=600, lockout_s=3600, daily_cap_ul=60, wishes_a_day=24)
    commands: dict[int, Callable[[Pumps, int], None]] = {
        **{at: lambda of, at_ms: of.set_program(5, at_ms, STOPPED, command_id="a") for at in (41, 90, 200)},
        **{at: lambda of, at_ms: of.set_program(5, at_ms, command_id="b") for at in (44, 140, 201)},
        **{
            at: lambda of, at_ms: of.set_program(6, at_ms, priming(at_ms, 30.0, 300), command_id="c") for at in (77, 99)
        },
        120: lambda of, at_ms: of.battery_reset(7, at_ms),
    }

    def measured(sizes: list[int], *, sensor: bool) -> tuple[Measured, list[object]]:
        fleet = pumps(8, flex, sensor=sensor, bias=0.03, full_ml=0.06, boluses=wishing, tells_stalls=True)
        columns, done = [], 0
        for size in sizes:
            for at, act in sorted(commands.items()):
                if done < at <= done + size:
                    act(fleet, NOON_MS + at * MINUTE_MS - 17)
            demand = fleet.demand(MINUTE_MS, size)
            trouble = (done + np.arange(size) >= 60) & (done + np.arange(size) < 100)
            demand.advance[trouble, 2] = 0.0
            demand.advance[trouble, 3] = 0.5
            demand.leak[trouble, 4] = 0.3
            columns.append(fleet.run(MINUTE_MS, demand))
            done += size
        stacked = Measured(*(np.concatenate(column) for column in zip(*columns, strict=True)))
        return stacked, [*fleet.take_said(), fleet.true_ml.tolist(), fleet.reached_ul.tolist()]

    for sensor in (False, True):
        (once, said_once), (cut, said) = measured([240], sensor=sensor), measured(parts, sensor=sensor)
        assert said == said_once
        assert len(said) > 20
        for column, expected in zip(cut, once, strict=True):
            assert np.array_equal(column, expected, equal_nan=column.dtype.kind == "f")


def test_a_counter_counts_from_its_boot() -> None:
    fleet = pumps(2)
    before = run(fleet, 60).delivered_ul[-1]
    fleet.restart(0)
    after = run(fleet, 60).delivered_ul[-1]

    assert before == pytest.approx([20.83, 20.83], abs=0.01)
    assert after == pytest.approx([20.83, 41.67], abs=0.01)


def test_a_pump_whose_battery_fails_for_a_moment_runs_at_its_minimum_until_it_is_programmed() -> None:
    fleet = pumps(1)
    fleet.battery_reset(0, NOON_MS + 30_000)
    minimum = run(fleet, 3)
    fleet.set_program(0, NOON_MS + 3 * MINUTE_MS, command_id="visit-1")
    again = run(fleet, 2)

    assert minimum.program_ml_d[:, 0].tolist() == [0.253, 0.006, 0.006]
    assert minimum.mode[:, 0].tolist() == [5, 5, 5]
    assert again.program_ml_d[:, 0].tolist() == [0.5, 0.5]
    raised, cleared, changed = fleet.take_said()
    assert (raised.at_ms, raised.type, raised.fields) == (
        NOON_MS + 30_000,
        "device_alarm_raised",
        {"code": "battery_reset"},
    )
    assert (cleared.type, cleared.fields) == ("device_alarm_cleared", {"code": "battery_reset"})
    assert (changed.type, changed.fields["program_ml_d"], changed.fields["mode"]) == ("program_changed", 0.5, "running")
    assert changed.fields["command_id"] == "visit-1"


def test_a_change_that_nobody_ordered_says_no_command() -> None:
    fleet = pumps(1)
    fleet.set_program(0, NOON_MS + 1, basal=Program(1.5))
    run(fleet, 2)

    [said] = fleet.take_said()
    assert said.fields == {"program_ml_d": 1.5, "mode": "running"}


def test_hidden_truth_is_on_no_column_that_a_pump_reports() -> None:
    assert set(Measured._fields) == {
        *("mode", "program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v", "delivered_ul"),
    }


def test_a_year_of_a_whole_fleet_stays_within_what_can_be_measured() -> None:
    """Each kind of pump that a seed makes, without refills: nothing runs away, nothing is negative."""
    described = fleet_of(7, 60)
    fleet = Pumps(7, nature_of(described, NOON_MS), np.full(60, NOON_MS))
    parts = [run(fleet, 73, DAY_MS) for _ in range(5)]
    measured = Measured(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    assert (measured.reservoir_ml >= 0).all()
    assert (measured.flow_ml_d >= 0).all()
    assert (measured.battery_v > 2.0).all()
    assert (fleet.reached_ul <= fleet.true_ul).all()
    assert with_wrong(fleet.demand(DAY_MS, 1), leak=1.0).leak.min() == 1.0
