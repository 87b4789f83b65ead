"""Faults and moments come in order of time, each pump as far ahead of the grid as it is."""

import numpy as np

from simulators.care import visits_of
from simulators.faults import DAY_MS, HOUR_MS, Fault, Kind, Timeline
from simulators.fleet import fleet_of
from simulators.pump import Demand
from simulators.work import Work

FLEET = fleet_of(7, 40)


def test_moments_are_told_once_and_in_order_of_the_grid() -> None:
    work = Work(FLEET, [0, 500, *[0] * 38], [])
    for fault in (Fault(1, Kind.MEMORY_ERROR, 1000), Fault(0, Kind.MEMORY_ERROR, 1200), Fault(2, Kind.MRI, 9000, 9500)):
        work.add(fault)

    told = []
    while (found := work.next_moment(2000)) is not None:
        told.append((found[0], found[1].pump))

    assert told == [(1200, 0), (1500, 1)]
    assert work.next_moment(2000) is None
    assert work.next_moment(20_000) is not None


def test_a_fault_works_from_its_onset_to_its_end_and_one_on_the_way_never() -> None:
    work = Work(FLEET, [0] * 40, [Fault(0, Kind.STALL, 2 * HOUR_MS, 4 * HOUR_MS), Fault(1, Kind.SILENCE, 0)])
    advance = []
    for hour in range(6):
        demand = Demand.healthy(np.full((1, 40), 0.5), np.zeros((1, 40), dtype=np.int64))
        work.touch(demand, np.array([(hour + 1) * HOUR_MS]), HOUR_MS)
        advance.append(float(demand.advance[0, 0]))
        assert (demand.advance[0, 1:] == 1).all()

    assert advance == [1, 1, 0, 0, 1, 1]


def test_every_pump_is_visited_in_time_but_those_whose_refill_is_missed() -> None:
    run = Timeline(0, HOUR_MS, 200 * 24, HOUR_MS)
    visits = list(visits_of(FLEET, run, missed={3}))

    assert {visit.pump for visit in visits} == set(range(40)) - {3}
    for pump, implant in enumerate(FLEET):
        due = sorted(visit.at_ms for visit in visits if visit.pump == pump)
        apart_d = np.diff(due) / DAY_MS
        assert (apart_d * implant.use_ml_d < implant.capacity_ml).all()
