"""A fault changes what its pump does from its onset to its end, and its label says what must be noticed."""

from dataclasses import replace

import numpy as np
import pytest

from simulators.faults import Fault, Kind, Timeline, labels_of, touch
from simulators.fleet import fleet_of
from simulators.pump import Demand

LIVE_FROM_MS = 1_795_376_926_000
HOUR_MS = 3_600_000
TIMELINE = Timeline(LIVE_FROM_MS - 24 * HOUR_MS, 60_000, 1440, 1000, 60.0)
FLEET = fleet_of(7, 20, interval_s=1.0)
SENSOR = next(number for number, pump in enumerate(FLEET) if pump.sensor)
ROTOR = next(number for number, pump in enumerate(FLEET) if not pump.sensor)


def demanded(fault: Fault, from_ms: int, to_ms: int) -> tuple[float, int, float, float]:
    """(program, mode, advance, output) of the fault's pump over one span; the basal program is 0.5 mL/d."""
    count = len(FLEET)
    demand = Demand(np.full(count, 0.5), np.zeros(count, np.int64), np.ones(count), np.ones(count))
    touch(fault, FLEET[fault.pump], demand, from_ms, to_ms)
    others = [pump for pump in range(count) if pump != fault.pump]
    assert (demand.program_ml_d[others] == 0.5).all()
    assert (demand.advance[others] * demand.output[others] == 1).all()
    program, mode, advance, output = (column[fault.pump] for column in demand)
    return float(program), int(mode), float(advance), float(output)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(ROTOR, Kind.STALL, 0), (0.5, 0, 0.0, 1.0)),
        (Fault(SENSOR, Kind.OVER_DELIVERY, 0, value=1.4), (0.5, 0, 1.0, 1.4)),
        (Fault(SENSOR, Kind.UNDER_DELIVERY, 0, value=0.6), (0.5, 0, 1.0, 0.6)),
        (Fault(ROTOR, Kind.UNDER_DELIVERY, 0, value=0.6), (0.5, 0, 0.6, 1.0)),
        (Fault(ROTOR, Kind.STOPPED, 0), (0.0, 2, 1.0, 1.0)),
        (Fault(ROTOR, Kind.BOLUS, 0, 600_000, value=30.0), (0.5 + 30 / 600 * 86.4, 1, 1.0, 1.0)),
        (Fault(ROTOR, Kind.SILENCE, 0), (0.5, 0, 1.0, 1.0)),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_fault_changes_its_pump_as_physics_has_it(fault: Fault, expected: tuple[float, ...]) -> None:
    assert demanded(fault, 0, 60_000) == pytest.approx(expected)


def test_a_reading_is_the_mean_over_its_span_also_when_a_fault_begins_or_ends_within_it() -> None:
    stall = Fault(ROTOR, Kind.STALL, 15_000, 75_000)

    assert demanded(stall, 0, 60_000)[2] == pytest.approx(0.25)
    assert demanded(stall, 60_000, 120_000)[2] == pytest.approx(0.75)
    assert demanded(stall, 120_000, 180_000)[2] == 1.0


def test_a_stall_is_due_when_ten_microlitres_and_twenty_minutes_are_missing() -> None:
    onset_ms = LIVE_FROM_MS - 3 * HOUR_MS
    for program_ml_d, minutes in ((0.5, 28.8), (0.3, 48.0), (1.0, 20.0)):
        fleet = list(FLEET)
        fleet[ROTOR] = replace(fleet[ROTOR], program_ml_d=program_ml_d)

        [label] = labels_of([Fault(ROTOR, Kind.STALL, onset_ms)], fleet, TIMELINE)

        assert label.due_ms == pytest.approx(onset_ms + (minutes + 2) * 60_000, abs=1000)
        assert (label.expected, label.allowed, label.announced) == (["stall"], [], True)


def test_what_was_over_before_the_pumps_went_live_is_due_and_need_not_be_announced() -> None:
    over = Fault(ROTOR, Kind.STALL, LIVE_FROM_MS - 10 * HOUR_MS, LIVE_FROM_MS - 8 * HOUR_MS)
    too_soon_over = replace(over, end_ms=over.onset_ms + 600_000)

    assert labels_of([over], FLEET, TIMELINE)[0].announced is False
    assert labels_of([over], FLEET, TIMELINE)[0].due_ms is not None
    assert labels_of([too_soon_over], FLEET, TIMELINE)[0].due_ms is None


def test_a_decoy_expects_nothing_and_several_boluses_are_one() -> None:
    boluses = [
        Fault(3, Kind.BOLUS, LIVE_FROM_MS - ago * HOUR_MS, LIVE_FROM_MS - ago * HOUR_MS + 1, 30.0) for ago in (9, 5)
    ]

    [label] = labels_of(boluses, FLEET, TIMELINE)

    assert (label.fault, label.expected, label.allowed, label.due_ms) == ("bolus", [], [], None)
    assert (label.onset_ms, label.end_ms) == (LIVE_FROM_MS - 9 * HOUR_MS, LIVE_FROM_MS - 5 * HOUR_MS + 1)
