"""A pump says of itself what a real pump would know, once, and takes it back when it is over."""

import numpy as np
import pytest

from simulators.programs import STOPPED, single_bolus
from tests.simulators.bench import DAY_MS, HOUR_MS, MINUTE_MS, NOON_MS, YEAR_MS, pumps, run, told


@pytest.mark.parametrize(
    ("program_ml_d", "minutes"), [(1.0, 20), (0.5, 29), (0.3, 48), (0.1, 144), (0.048, 300), (0.006, 2400)]
)
def test_a_stall_is_noticed_when_ten_microlitres_are_missing_and_not_within_twenty_minutes(
    program_ml_d: float, minutes: int
) -> None:
    fleet = pumps(2, program_ml_d, tells_stalls=True)
    fleet.nature.tells_stalls[1] = False
    run(fleet, minutes + 10, advance=0.0)
    run(fleet, 40)

    told_0, told_1 = [], []
    for said in fleet.take_said():
        (told_0 if said.pump == 0 else told_1).append((said.at_ms - NOON_MS, said.type, said.fields["code"]))
    raised, cleared = told_0
    assert raised == (pytest.approx(minutes * MINUTE_MS, abs=MINUTE_MS), "device_alarm_raised", "motor_stall")
    assert cleared == ((minutes + 30) * MINUTE_MS, "device_alarm_cleared", "motor_stall")
    assert told_1 == []  # its model does not look


def test_a_stall_of_a_pump_that_is_told_to_stop_is_none_and_a_slow_one_is_not_noticed() -> None:
    stopped, slow = pumps(1, tells_stalls=True), pumps(1, tells_stalls=True)
    stopped.set_program(0, NOON_MS, STOPPED, command_id="visit-1")
    run(stopped, 600, advance=0.0)
    run(slow, 600, advance=0.3)

    assert told(stopped) == [(0, "program_changed")]
    assert told(slow) == []


def test_low_and_empty_are_what_the_pump_computes_and_a_refill_clears_them() -> None:
    fleet = pumps(1, full_ml=3.0)
    fleet.true_ml[0] = 12.0  # a sticking valve: the pump cannot know
    run(fleet, 7 * 24, HOUR_MS)
    fleet.refill(0, 20.0)
    run(fleet, 1, HOUR_MS)

    assert told(fleet) == [
        (pytest.approx(48 * HOUR_MS, abs=HOUR_MS), "reservoir_low"),
        (pytest.approx(144 * HOUR_MS, abs=HOUR_MS), "reservoir_empty"),
        (7 * DAY_MS + 1, "(reservoir_low)"),
        (7 * DAY_MS + 1, "(reservoir_empty)"),
    ]


def test_forty_eight_hours_of_standstill_are_said_whoever_stopped_the_pump() -> None:
    ordered, after_a_bolus = pumps(1), pumps(1)
    ordered.set_program(0, NOON_MS + HOUR_MS, STOPPED, command_id="visit-1")
    after_a_bolus.set_program(0, NOON_MS, single_bolus(NOON_MS, 50.0, 3600), command_id="visit-1")
    for fleet in (ordered, after_a_bolus):
        run(fleet, 60, HOUR_MS)
        fleet.set_program(0, NOON_MS + 60 * HOUR_MS + 1, command_id="visit-2")
        run(fleet, 2, HOUR_MS)

        assert told(fleet)[1:] == [
            (49 * HOUR_MS, "stopped_48h"),
            (60 * HOUR_MS + 1, "program_changed"),
            (61 * HOUR_MS, "(stopped_48h)"),
        ]


def test_a_pump_asks_to_be_replaced_ninety_days_before_its_seventh_year_ends_and_then_stops() -> None:
    fleet = pumps(1, 0.2, full_ml=40.0, implanted_ms=NOON_MS - 7 * YEAR_MS + 95 * DAY_MS)

    program_ml_d = run(fleet, 100, DAY_MS).program_ml_d[:, 0]

    assert told(fleet) == [
        (5 * DAY_MS, "replace_soon"),
        (95 * DAY_MS, "end_of_service"),
        (97 * DAY_MS, "stopped_48h"),
    ]
    assert (program_ml_d[:95] == 0.2).all()
    assert (program_ml_d[95:] == 0.0).all()
    fleet.set_program(0, NOON_MS + 100 * DAY_MS + 1, command_id="visit-1")
    assert run(fleet, 2, DAY_MS).program_ml_d.max() == 0.0  # for good


def test_a_battery_that_is_flat_early_asks_by_its_voltage_and_ends_ninety_days_later() -> None:
    fleet = pumps(1, 0.2, full_ml=40.0, battery_used=0.9, implanted_ms=NOON_MS - 3 * YEAR_MS)

    parts = [run(fleet, 30 * 24, HOUR_MS, drain=10.0) for _ in range(5)]

    (soon_ms, soon), (end_ms, end), _ = told(fleet)
    assert (soon, end) == ("replace_soon", "end_of_service")
    assert end_ms - soon_ms == 90 * DAY_MS
    battery_v = np.concatenate([part.battery_v[:, 0] for part in parts])
    program_ml_d = np.concatenate([part.program_ml_d[:, 0] for part in parts])
    around = battery_v[soon_ms // HOUR_MS - 24 : soon_ms // HOUR_MS + 24]
    assert around.mean() == pytest.approx(2.6, abs=0.005)
    assert np.all(program_ml_d[end_ms // HOUR_MS + 1 :] == 0.0)
