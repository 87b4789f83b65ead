"""The demonstration shows every fault on a pump where it can be seen, and leaves the others well alone."""

from collections import Counter

import numpy as np
import pytest

from simulators.cast import DEMO, cast, parse, pumps_for, with_low_reservoirs
from simulators.expected import shown
from simulators.faults import DECOYS, Kind, Timeline
from simulators.fleet import fleet_of
from simulators.labels import labels_of
from simulators.simulation import Simulation

LIVE_FROM_MS = 1_795_376_926_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
DAY = Timeline(LIVE_FROM_MS - 24 * HOUR_MS, MINUTE_MS, 1440, 1000, 60.0)


@pytest.mark.parametrize("seed", range(1, 21))
def test_two_hundred_pumps_of_any_seed_have_room_for_the_whole_cast(seed: int) -> None:
    fleet = fleet_of(seed, 200, interval_s=1.0)
    faults = cast("demo", fleet, seed, DAY)

    labels = labels_of(faults, fleet, DAY)

    assert Counter(label.fault for label in labels) == Counter(part.kind for part in DEMO)
    assert len({label.pump_id for label in labels}) == len(DEMO)
    end_ms = LIVE_FROM_MS + 60_000
    assert all(label.due_ms is not None and label.due_ms <= end_ms for label in labels if label.expected)
    assert sum(label.due_ms is not None and label.due_ms > LIVE_FROM_MS for label in labels) == 3


def test_boluses_that_must_raise_nothing_keep_within_what_is_prescribed() -> None:
    for seed in range(1, 21):
        fleet = fleet_of(seed, 200, interval_s=1.0)
        boluses = [fault for fault in cast("demo", fleet, seed, DAY) if fault.kind is Kind.BOLUS]
        pump = with_low_reservoirs(fleet, boluses, DAY.start_ms)[boluses[0].pump]

        assert pump.boluses.wishes_a_day == 0.0
        assert not pump.bolus_daily_cap_ul or sum(fault.value for fault in boluses) <= pump.bolus_daily_cap_ul


def test_live_faults_need_a_live_part_and_long_ones_a_backlog() -> None:
    fleet = fleet_of(7, 200, interval_s=1.0)
    without_live = Timeline(DAY.start_ms, MINUTE_MS, 1440, MINUTE_MS, 0.0)
    live_only = Timeline(LIVE_FROM_MS, MINUTE_MS, 0, 1000, 60.0)

    kinds = {fault.kind for fault in cast("demo", fleet, 7, without_live)}
    live_kinds = {fault.kind for fault in cast("demo", fleet, 7, live_only)}

    assert kinds == {part.kind for part in DEMO} - {Kind.SILENCE, Kind.LINK_GAP}
    assert {Kind.SILENCE, Kind.LINK_GAP} <= live_kinds


def test_kinds_can_be_asked_for_and_an_unknown_one_is_refused_by_name() -> None:
    fleet = fleet_of(7, 200, interval_s=1.0)

    assert cast("none", fleet, 7, DAY) == []
    assert [fault.kind for fault in cast("stall, stall,silence", fleet, 7, DAY)] == ["stall", "stall", "silence"]
    assert [fault.kind for fault in cast("occlusion,stall", fleet, 7, DAY)] == ["stall", "occlusion"]
    for word in ("leak", "each:0", "each", "field:-1", "field:x"):
        with pytest.raises(ValueError, match=f"no such fault: {word}; known are demo, none, each:N"):
            cast(f"stall,{word}", fleet, 7, DAY)


def test_a_pump_that_runs_low_is_past_its_first_limit_all_day_and_not_past_its_second() -> None:
    for seed in range(1, 11):
        fleet = fleet_of(seed, 200)
        [fault] = cast("reservoir_low", fleet, seed, DAY)
        pump = with_low_reservoirs(fleet, [fault], DAY.start_ms)[fault.pump]
        cycle_d = pump.capacity_ml / pump.program_ml_d
        for passed_d in (0, 1):
            volume_ml = pump.filled_ml - passed_d * pump.program_ml_d
            cautious_ml = volume_ml - (pump.capacity_ml - volume_ml) * 0.076
            left_d = cautious_ml / (pump.program_ml_d * 1.076)
            assert min(5, 0.10 * cycle_d) + 0.5 < left_d < min(14, 0.25 * cycle_d) - 0.3
            assert pump.true_ml > 2.0


@pytest.mark.parametrize("seed", range(1, 6))
def test_each_gives_so_many_pumps_of_every_fault_where_it_can_be_seen(seed: int) -> None:
    fleet = fleet_of(seed, pumps_for(3))

    faults = cast("each:3", fleet, seed, DAY)

    assert Counter(fault.kind for fault in faults) == {
        kind: 3 for kind in Kind if kind not in DECOYS and kind is not Kind.SITE_OUTAGE
    }
    assert len({fault.pump for fault in faults}) == len(faults)
    for fault in faults:
        must = shown(fault.kind, sensor=fleet[fault.pump].sensor)[0]
        assert must or fault.kind is Kind.CATHETER_LEAK
        assert DAY.start_ms <= fault.onset_ms < DAY.end_ms
    assert parse("each:2,decoys:1").kinds == [*parse("each:2").kinds, *parse("decoys:1").kinds]


def test_a_fleet_that_is_too_small_for_what_is_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="no pump is left for .*: 84 faults need more than 20 pumps"):
        cast("each:3", fleet_of(7, 20), 7, DAY)


def test_a_pump_that_runs_empty_has_just_what_lasts_until_then() -> None:
    fleet = fleet_of(7, 200)
    [fault] = cast("reservoir_empty", fleet, 7, DAY)
    pump = with_low_reservoirs(fleet, [fault], DAY.start_ms)[fault.pump]

    until_onset_ml = pump.program_ml_d * (fault.onset_ms - DAY.start_ms) / (24 * HOUR_MS)
    assert pump.filled_ml - until_onset_ml == pytest.approx(fault.value)


def test_every_fault_shows_by_the_time_it_is_due_and_no_healthy_pump_comes_near_a_limit() -> None:
    """The limits are those of the lead conditions, computed here anew from what is published."""
    fleet = fleet_of(7, 200)
    faults = cast("demo", fleet, 7, DAY)
    simulation = Simulation(7, fleet, faults, DAY)
    chunk = simulation.measure(MINUTE_MS, 1440)
    flow = np.array([chunk.columns[pump].flow_ml_d for pump in range(200)])
    program = np.array([chunk.columns[pump].program_ml_d for pump in range(200)])
    labels = {label.pump_id: label for label in labels_of(faults, fleet, DAY)}
    deviation = flow.reshape(200, 24, 60).mean(axis=2) / np.maximum(program.reshape(200, 24, 60).mean(axis=2), 1e-9) - 1

    for number, pump in enumerate(fleet):
        label = labels.get(pump.pump_id)
        due_minute = 1440 if label is None or label.due_ms is None else (label.due_ms - DAY.start_ms) // MINUTE_MS
        fault = "" if label is None else label.fault
        missing_ul = np.cumsum(program[number] - flow[number])[:due_minute].max() / 86.4 * 60
        gross = (flow[number] > 1.5 * program[number]) & (flow[number] > program[number] + 0.08)
        in_a_row = gross[:-2] & gross[1:-1] & gross[2:]
        if fault == "stall":
            assert missing_ul > 8.0
        elif fault == "over_delivery_gross":
            assert in_a_row[:due_minute].any()
        elif fault == "over_delivery":
            assert (deviation[number, 8:] > 0.33).all()
        elif fault == "under_delivery":
            assert (deviation[number, 8:] < -0.33).all()
        elif fault not in {"stopped", "silence", "link_gap"}:
            assert missing_ul < 10.0 or pump.sensor, fault
            assert not in_a_row.any()
            assert abs(deviation[number]).max() < 0.2225
