"""What a pump records of a fault is what interface.md knows, in order; what nobody commanded has no command."""

import pytest

from simulators.faults import HOUR_MS, Fault, Kind, Timeline, fault_named
from simulators.fleet import fleet_of
from simulators.simulation import Simulation
from simulators.stories import story_of
from simulators.wire import Event

FLEET = fleet_of(7, 60)
ASKING = next(number for number, pump in enumerate(FLEET) if pump.bolus_daily_cap_ul)
TYPES = {
    *("started", "refill", "bolus_requested", "bolus_delivered", "bolus_denied", "program_changed"),
    *("device_alarm_raised", "device_alarm_cleared", "mri_began", "mri_ended", "clock_set"),
}


def said_of(kind: Kind, *, for_ms: int | None = None, hours: int = 60) -> list[Event]:
    """What the pump says in a run with one fault that begins after an hour."""
    fault = fault_named(kind, ASKING, HOUR_MS, for_ms, None, FLEET[ASKING])
    made = Simulation(7, FLEET, [fault], Timeline(0, 300_000, hours * 12, 300_000), visits=False)
    without = Simulation(7, FLEET, [], Timeline(0, 300_000, hours * 12, 300_000), visits=False)
    told, usual = (each.measure(300_000, hours * 12).events.get(ASKING, []) for each in (made, without))
    return [event for _, event in told if event not in [other for _, other in usual]]


@pytest.mark.parametrize("kind", Kind)
def test_events_are_known_ones_in_order_of_time(kind: Kind) -> None:
    told = said_of(kind)

    assert {event.type for event in told} <= TYPES
    assert [event.time_ms for event in told] == sorted(event.time_ms for event in told)


def test_a_stop_that_is_forgotten_is_told_by_the_pump_itself_after_two_days() -> None:
    told = [(event.type, event.fields.get("code")) for event in said_of(Kind.STOPPED_LONG)]

    assert told[0] == ("program_changed", None)
    assert ("device_alarm_raised", "stopped_48h") in told


def test_programs_that_a_clinician_changes_have_a_command_and_others_have_none() -> None:
    for kind in (Kind.STOPPED, Kind.PRIMING, Kind.SINGLE_BOLUS, Kind.BRIDGE):
        changes = [event for event in said_of(kind) if event.type == "program_changed"]
        assert len(changes) >= 2
        assert all("command_id" in event.fields for event in changes), kind
    unauthorised, mended = said_of(Kind.PROGRAM_UNAUTHORISED, for_ms=HOUR_MS)[:2]
    assert "command_id" not in unauthorised.fields
    assert "command_id" in mended.fields


def test_a_battery_reset_restarts_the_pump_at_its_minimum_rate() -> None:
    types = [event.type for event in said_of(Kind.BATTERY_RESET)]

    assert types[0] == "started"
    assert "device_alarm_raised" in types


def test_a_refill_fills_and_a_pocket_fill_only_says_so() -> None:
    fleet = fleet_of(7, 60)
    for kind, arrives in ((Kind.REFILL, 1.0), (Kind.POCKET_FILL, 0.2)):
        fault = fault_named(kind, 0, HOUR_MS, None, None, fleet[0])
        made = Simulation(7, fleet, [fault], Timeline(0, 60_000, 62, 60_000), visits=False)
        told = [event for _, event in made.measure(60_000, 62).events[0] if event.type == "refill"]
        capacity_ml = fleet[0].capacity_ml
        assert told[0].fields["reservoir_after_ml"] == capacity_ml
        assert float(made.pumps.computed_ml[0]) == pytest.approx(capacity_ml, abs=0.05)
        assert float(made.pumps.true_ml[0]) == pytest.approx(arrives * capacity_ml, abs=0.3)


def test_moments_are_those_of_one_pump_in_order() -> None:
    for kind in Kind:
        story = story_of(fault_named(kind, ASKING, HOUR_MS, None, None, FLEET[ASKING]), FLEET[ASKING])
        assert {moment.pump for moment in story} <= {ASKING}
        assert [moment.at_ms for moment in story] == sorted(moment.at_ms for moment in story)
    assert story_of(Fault(0, Kind.STALL, 0), FLEET[0]) == []
