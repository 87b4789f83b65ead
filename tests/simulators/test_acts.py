"""A fault changes what its pump does from its onset to its end, and nothing of any other pump."""

from itertools import pairwise

import numpy as np
import pytest

from simulators.acts import cap_boluses, flutter, stall_shows_ms, touch
from simulators.faults import DAY_MS, HOUR_MS, Fault, Kind, fault_named
from simulators.fleet import fleet_of
from simulators.pump import Demand

MINUTE_MS = 60_000
FLEET = fleet_of(7, 60)
SENSOR = next(number for number, pump in enumerate(FLEET) if pump.sensor)
ROTOR = next(number for number, pump in enumerate(FLEET) if not pump.sensor)
ASKING = next(number for number, pump in enumerate(FLEET) if pump.bolus_daily_cap_ul)


def touched(fault: Fault, *edges_ms: int) -> Demand:
    """What is asked of the fault's pump in the spans between the edges; the basal program is 0.5 mL/d."""
    edges = np.array(edges_ms, dtype=np.int64)
    shape = (len(edges) - 1, len(FLEET))
    demand = Demand.healthy(np.full(shape, 0.5), np.zeros(shape, dtype=np.int64))
    healthy = [column.copy() for column in demand]
    touch(fault, FLEET[fault.pump], demand, edges[:-1], edges[1:])
    others = [pump for pump in range(len(FLEET)) if pump != fault.pump]
    assert all((column[:, others] == well[:, others]).all() for column, well in zip(demand, healthy, strict=True))
    return Demand(*(column[:, fault.pump] for column in demand))


@pytest.mark.parametrize(
    ("kind", "pump", "value", "changed"),
    [
        (Kind.STALL, ROTOR, 1.0, {"advance": 0.0}),
        (Kind.MRI, ROTOR, 1.0, {"advance": 0.0}),
        (Kind.OVER_DELIVERY, SENSOR, 1.4, {"output": 1.4}),
        (Kind.UNDER_DELIVERY, SENSOR, 0.6, {"output": 0.6}),
        (Kind.UNDER_DELIVERY, ROTOR, 0.6, {"advance": 0.6}),
        (Kind.OCCLUSION_PARTIAL, ROTOR, 0.6, {"output": 0.6}),
        (Kind.OCCLUSION, SENSOR, 1.0, {"output": 0.0}),
        (Kind.CATHETER_LEAK, SENSOR, 0.8, {"leak": 0.8}),
        (Kind.BATTERY_EARLY, ROTOR, 500.0, {"drain": 500.0}),
        (Kind.FREE_FLOW, SENSOR, 3.0, {"free_ml_d": 3.0 * 1440 / 60}),
        (Kind.EARLY_EMPTY, SENSOR, 1.0, {"free_ml_d": FLEET[SENSOR].capacity_ml * 24}),
        (Kind.FLOW_WHILE_STOPPED, SENSOR, 0.4, {"free_ml_d": 0.4}),
        (Kind.BOLUS, ROTOR, 30.0, {"program_ml_d": 0.5 + 0.030 * 24, "mode": 1}),
        (Kind.SILENCE, ROTOR, 1.0, {}),
    ],
)
def test_a_fault_changes_its_pump_as_physics_has_it(
    kind: Kind, pump: int, value: float, changed: dict[str, float]
) -> None:
    fault = Fault(pump, kind, 0, HOUR_MS, value)
    well = {"program_ml_d": 0.5, "mode": 0, "advance": 1, "output": 1, "free_ml_d": 0, "leak": 0, "drain": 1}

    found = touched(fault, 0, MINUTE_MS)

    assert {name: float(column[0]) for name, column in found._asdict().items()} == pytest.approx(well | changed)


def test_a_reading_is_the_mean_over_its_span_also_when_a_fault_begins_or_ends_within_it() -> None:
    stall = Fault(ROTOR, Kind.STALL, 15_000, 75_000)

    assert touched(stall, 0, 60_000, 120_000, 180_000).advance == pytest.approx([0.25, 0.75, 1.0])


def test_spans_in_one_call_or_many_are_changed_alike() -> None:
    edges = [number * 7 * MINUTE_MS for number in range(200)]
    for kind in Kind:
        fault = fault_named(kind, ASKING, 3 * HOUR_MS, None, None, FLEET[ASKING])
        together = touched(fault, *edges)
        alone = [touched(fault, *pair) for pair in pairwise(edges)]
        for name, column in together._asdict().items():
            assert column.tolist() == [float(getattr(span, name)[0]) for span in alone], (kind, name)


def test_a_ramp_of_over_infusion_grows_by_its_share_a_month() -> None:
    ramp = Fault(SENSOR, Kind.OVER_INFUSION, 0, value=0.03)

    output = touched(ramp, 30 * DAY_MS - 1000, 30 * DAY_MS + 1000).output

    assert output == pytest.approx(1.03, rel=1e-6)


def test_flutter_comes_ever_more_often_and_each_stall_is_long_enough_to_be_known() -> None:
    pump = FLEET[ROTOR]
    stalls = list(flutter(Fault(ROTOR, Kind.STALL_FLUTTER, 0), pump, 4 * DAY_MS))

    onsets = np.array([stall.onset_ms for stall in stalls])
    assert (np.diff(onsets, n=2) <= 0).all()
    assert all(stall.end_ms is not None and stall.end_ms - stall.onset_ms > stall_shows_ms(pump) for stall in stalls)
    assert sum(onsets > 3 * DAY_MS) >= 3


def test_boluses_beyond_the_cap_add_up_to_what_was_asked_for() -> None:
    pump = FLEET[ASKING]
    boluses = cap_boluses(fault_named("bolus_cap", ASKING, 0, None, 1.5, pump), pump)

    assert sum(bolus.value for bolus in boluses) == pytest.approx(1.5 * pump.bolus_daily_cap_ul, rel=0.01)
    assert all(earlier.over_by(later.onset_ms) for earlier, later in pairwise(boluses))
