"""A label says what was injected, when it can be seen, and when it must have been noticed."""

from dataclasses import replace

import msgspec
import pytest

from simulators.expected import CONDITIONS, SHOWS
from simulators.faults import DAY_MS, DECOYS, HOUR_MS, Fault, Kind, Timeline, fault_named
from simulators.fleet import fleet_of
from simulators.labels import Label, labels_of
from simulators.programs import Program

LIVE_FROM_MS = 1_795_376_926_000
MINUTE_MS = 60_000
TIMELINE = Timeline(LIVE_FROM_MS - DAY_MS, MINUTE_MS, 1440, 1000, 60.0)
FLEET = fleet_of(7, 60)
SENSOR = next(number for number, pump in enumerate(FLEET) if pump.sensor)
ROTOR = next(number for number, pump in enumerate(FLEET) if not pump.sensor)
ASKING = next(number for number, pump in enumerate(FLEET) if pump.bolus_daily_cap_ul and not pump.sensor)


def label_of(fault: Fault, **changes: object) -> Label:
    fleet = list(FLEET)
    if changes:
        fleet[fault.pump] = replace(fleet[fault.pump], **changes)  # type: ignore[arg-type]
    [label] = labels_of([fault], fleet, TIMELINE)
    return label


def test_a_stall_is_due_when_ten_microlitres_and_twenty_minutes_are_missing() -> None:
    onset_ms = LIVE_FROM_MS - 3 * HOUR_MS
    for program_ml_d, minutes in ((0.5, 28.8), (0.3, 48.0), (1.0, 20.0)):
        label = label_of(Fault(ROTOR, Kind.STALL, onset_ms), program_ml_d=program_ml_d, basal=Program(program_ml_d))

        assert label.earliest_ms == pytest.approx(onset_ms + minutes * MINUTE_MS, abs=1000)
        assert label.due_ms == pytest.approx(onset_ms + (minutes + 2) * MINUTE_MS, abs=1000)
        assert (label.expected, label.counts_from_ms, label.announced) == (["stall"], onset_ms, True)
        assert (label.observable, label.model, label.deviation) == (True, "rotor", -1.0)


def test_what_was_over_before_the_pumps_went_live_is_due_and_need_not_be_announced() -> None:
    over = Fault(ROTOR, Kind.STALL, LIVE_FROM_MS - 10 * HOUR_MS, LIVE_FROM_MS - 8 * HOUR_MS)
    too_soon_over = replace(over, end_ms=over.onset_ms + 600_000)

    assert (label_of(over).announced, label_of(over).due_ms is not None) == (False, True)
    assert label_of(too_soon_over).due_ms is None


def test_a_shift_counts_from_the_hour_in_which_the_true_flow_passes_the_reject_level_bias_included() -> None:
    onset_ms = LIVE_FROM_MS - 20 * HOUR_MS
    ramp = Fault(SENSOR, Kind.OVER_INFUSION, onset_ms, value=30.0)  # 30 times the program in 30 days: 1/24 an hour

    label, biased = label_of(ramp, bias=0.0), label_of(ramp, bias=0.10)

    assert label.earliest_ms == pytest.approx(onset_ms + 7.2 * HOUR_MS, abs=1000)
    assert biased.earliest_ms == pytest.approx(onset_ms + 24 * (1.3 / 1.1 - 1) * HOUR_MS, abs=1000)
    assert label.counts_from_ms % HOUR_MS == 0
    assert 0 <= label.earliest_ms - label.counts_from_ms < HOUR_MS  # type: ignore[operator]


def test_a_shift_is_due_once_it_has_stayed_beyond_the_reject_level_for_five_bounds() -> None:
    onset_ms = LIVE_FROM_MS - 20 * HOUR_MS
    for end_h, due in ((None, True), (11, True), (9, False)):
        end_ms = None if end_h is None else onset_ms + end_h * HOUR_MS
        assert (label_of(Fault(SENSOR, Kind.OVER_DELIVERY, onset_ms, end_ms, 1.4)).due_ms is not None) is due
    assert label_of(Fault(SENSOR, Kind.OVER_DELIVERY, onset_ms, None, 1.25), bias=0.0).due_ms is None


@pytest.mark.parametrize(
    "kind", [Kind.OVER_DELIVERY, Kind.FREE_FLOW, Kind.EARLY_EMPTY, Kind.OCCLUSION, Kind.POCKET_FILL]
)
def test_what_happens_behind_a_rotor_is_not_observable_and_must_not_be_noticed(kind: Kind) -> None:
    behind, seen = (
        label_of(fault_named(kind, pump, TIMELINE.start_ms + HOUR_MS, None, None, FLEET[pump]))
        for pump in (ROTOR, SENSOR)
    )

    assert (behind.observable, behind.expected, behind.due_ms, behind.announced) == (False, [], None, False)
    assert seen.observable
    assert seen.expected
    assert seen.due_ms is not None


def test_a_leak_behind_the_pump_is_seen_by_no_model() -> None:
    for pump in (ROTOR, SENSOR):
        label = label_of(Fault(pump, Kind.CATHETER_LEAK, TIMELINE.start_ms, value=0.8))
        assert (label.observable, label.expected, label.allowed) == (False, [], [])


def test_a_decoy_expects_nothing_and_several_boluses_are_one() -> None:
    boluses = [
        Fault(3, Kind.BOLUS, LIVE_FROM_MS - ago * HOUR_MS, LIVE_FROM_MS - ago * HOUR_MS + 1, 30.0) for ago in (9, 5)
    ]

    [label] = labels_of(boluses, FLEET, TIMELINE)

    assert (label.fault, label.expected, label.allowed, label.due_ms) == ("bolus", [], [], None)
    assert (label.onset_ms, label.end_ms) == (LIVE_FROM_MS - 9 * HOUR_MS, LIVE_FROM_MS - 5 * HOUR_MS + 1)


def test_a_site_outage_is_expected_once_and_the_silence_of_its_pumps_is_not_false() -> None:
    outages = [Fault(pump, Kind.SITE_OUTAGE, LIVE_FROM_MS) for pump in range(60)]
    labels = labels_of(outages, FLEET, TIMELINE)

    sites = {pump.site for pump in FLEET}
    assert {label.site for label in labels if label.expected == ["site_silence"]} == sites
    assert sum(bool(label.expected) for label in labels) == len(sites)
    assert all("silence" in label.allowed for label in labels)


@pytest.mark.parametrize("kind", Kind)
def test_times_are_in_order_and_conditions_are_those_of_the_interface(kind: Kind) -> None:
    for pump in (ASKING, SENSOR):
        try:
            fault = fault_named(kind, pump, TIMELINE.start_ms + HOUR_MS, None, None, FLEET[pump])
        except ValueError:
            continue
        label = label_of(fault)
        assert set(label.expected) | set(label.allowed) <= set(CONDITIONS)
        assert not set(label.expected) & set(label.allowed)
        assert (kind in DECOYS) <= (label.expected == [])
        if label.due_ms is not None and label.earliest_ms is not None:
            assert label.onset_ms <= label.earliest_ms <= label.due_ms


def test_every_condition_of_a_pump_is_shown_by_some_fault() -> None:
    shown = {name for shows in SHOWS.values() for name in (*shows.rotor, *shows.sensor)}
    by_the_run_alone = {"battery_end", "level_deviation", "under_delivery_gross", "unregistered"}
    assert shown | by_the_run_alone == set(CONDITIONS)


def test_labels_are_plain_json() -> None:
    label = label_of(Fault(ROTOR, Kind.STALL, LIVE_FROM_MS))
    assert msgspec.json.decode(msgspec.json.encode([label]), type=list[Label]) == [label]
