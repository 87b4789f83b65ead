"""The same seed gives the same messages, however they are asked for."""

import itertools
import json
from collections import defaultdict
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.cast import cast
from simulators.faults import Fault, Kind, Timeline
from simulators.fleet import fleet_of
from simulators.simulation import Message, Simulation
from simulators.wire import Encoding, close

START_MS = 1_795_290_526_000
MINUTE_MS = 60_000
TIMELINE = Timeline(START_MS, MINUTE_MS, 180, 1000, 60.0)
FLEET = fleet_of(7, 12, interval_s=1.0)
FAULTS = [
    Fault(0, Kind.STALL, START_MS + 30 * MINUTE_MS),
    Fault(1, Kind.BOLUS, START_MS + 50 * MINUTE_MS + 12_345, START_MS + 60 * MINUTE_MS + 12_345, 30.0),
    Fault(2, Kind.STOPPED, START_MS + 70 * MINUTE_MS, START_MS + 90 * MINUTE_MS),
    Fault(3, Kind.REFILL, START_MS + 80 * MINUTE_MS, START_MS + 80 * MINUTE_MS, 20.0),
    Fault(4, Kind.OVER_DELIVERY, START_MS + 20 * MINUTE_MS, None, 1.4),
]


def simulation(seed: int = 7, **options: Any) -> Simulation:
    return Simulation(seed, FLEET, FAULTS, TIMELINE, **options)


def decoded(message: Message) -> dict[str, Any]:
    body = close(message.body, (message.boot, 0))
    return json.loads(body) if body[:1] == b"{" else msgspec.msgpack.decode(body)


def items(messages: list[Message]) -> dict[int, list[dict[str, Any]]]:
    """Readings and events one by one, by pump."""
    found = defaultdict(list)
    for message in messages:
        payload = decoded(message)
        if message.is_event:
            found[message.pump].append(payload)
            continue
        columns = {key: value for key, value in payload.items() if isinstance(value, list) and key != "held_from"}
        for index in range(message.items):
            reading = {key: column[index] for key, column in columns.items()}
            found[message.pump].append({"seq": message.seq + index, **reading})
    return found


def all_at_once() -> list[Message]:
    made = simulation()
    return [*made.messages(made.measure(MINUTE_MS, 180)), *made.messages(made.measure(1000, 60))]


ALL_AT_ONCE = items(all_at_once())


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.permutations(range(len(FLEET))))
def test_batches_and_the_order_of_pumps_change_nothing_that_is_measured(sizes: list[int], order: list[int]) -> None:
    made = simulation()
    messages: list[Message] = []
    for spacing_ms, count in ((MINUTE_MS, 180), (1000, 60)):
        done = 0
        for size in itertools.cycle(sizes):
            steps = min(size, count - done)
            if not steps:
                break
            messages += made.messages(made.measure(spacing_ms, steps), order)
            done += steps

    assert items(messages) == ALL_AT_ONCE


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    again = [message.body for message in all_at_once()]

    assert again == [message.body for message in all_at_once()]
    other = simulation(seed=8)
    assert again[1] not in {message.body for message in other.messages(other.measure(MINUTE_MS, 180))}


def test_positions_are_dense_and_time_never_runs_backwards_or_ahead() -> None:
    for pump, of_pump in ALL_AT_ONCE.items():
        assert [item["seq"] for item in of_pump] == list(range(len(of_pump)))
        stamps = [item["time_ms"] for item in of_pump]
        assert stamps == sorted(stamps)
        assert stamps[0] > START_MS - 2000  # up to a second ahead of the others, and a clock that drifts
        assert stamps[-1] <= TIMELINE.live_from_ms + 60_010, pump


def test_a_run_begins_with_started_and_events_come_between_the_readings_around_them() -> None:
    types = {pump: [item["type"] for item in of_pump if "type" in item] for pump, of_pump in ALL_AT_ONCE.items()}

    assert types[0] == ["started", *["device_alarm_raised"] * FLEET[0].tells_stalls]
    assert types[1] == ["started", "bolus_requested", "bolus_delivered"]
    assert types[2] == ["started", "program_changed", "program_changed"]
    assert types[3] == ["started", "refill"]
    [refill] = [index for index, item in enumerate(ALL_AT_ONCE[3]) if item.get("type") == "refill"]
    assert ALL_AT_ONCE[3][refill]["reservoir_after_ml"] == 20.0
    assert ALL_AT_ONCE[3][refill + 1]["reservoir_ml"] > ALL_AT_ONCE[3][refill - 1]["reservoir_ml"]


def test_program_and_flow_of_a_bolus_are_means_over_the_span_and_add_up_to_its_dose() -> None:
    readings = [item for item in ALL_AT_ONCE[1] if "type" not in item][:180]
    basal_ml_d = FLEET[1].program_ml_d

    extra_ul = sum(reading["program_ml_d"] - basal_ml_d for reading in readings) / 86.4 * 60

    assert abs(extra_ul - 30.0) < 0.05
    assert sum(reading["mode"] == "bolus" for reading in readings) in {10, 11}


def test_a_stopped_pump_says_so_and_a_stalled_one_does_not_know() -> None:
    stopped = [item for item in ALL_AT_ONCE[2] if item.get("mode") == "stopped" and "type" not in item]
    stalled = [item for item in ALL_AT_ONCE[0] if "type" not in item][35:180]

    assert 19 <= len(stopped) <= 20
    assert all(item["program_ml_d"] < FLEET[2].program_ml_d for item in stopped)
    assert {item["mode"] for item in stalled} == {"running"}


def test_both_encodings_say_the_same() -> None:
    packed = simulation(encodings=[Encoding.MSGPACK])
    both = simulation(encodings=[Encoding.JSON, Encoding.MSGPACK])

    chunks = packed.measure(MINUTE_MS, 60), both.measure(MINUTE_MS, 60)
    assert items(list(packed.messages(chunks[0]))) == items(list(both.messages(chunks[1])))
    assert {message.body[:1] == b"{" for message in both.messages(both.measure(MINUTE_MS, 1))} == {True, False}


def payloads(made: Simulation, pump: int, steps: int = 180) -> list[dict[str, Any]]:
    return [decoded(message) for message in made.messages(made.measure(MINUTE_MS, steps), [pump])]


def test_a_restart_begins_a_new_boot_at_zero_with_a_counter_at_zero() -> None:
    rotor = next(number for number, pump in enumerate(FLEET) if not pump.sensor)
    restart = Fault(rotor, Kind.REBOOT, START_MS + 60 * MINUTE_MS, START_MS + 60 * MINUTE_MS)

    before, after = [], []
    for message in payloads(Simulation(7, FLEET, [restart], TIMELINE), rotor):
        (before if message["boot"] == 1 else after).append(message)

    assert (after[0]["seq"], after[0]["type"], after[0]["reason"]) == (0, "started", "watchdog")
    assert after[1]["seq"] == 1
    assert before[-1]["delivered_ul"][-1] > after[1]["delivered_ul"][0] > 0
    assert after[1]["delivered_ul"] == sorted(after[1]["delivered_ul"])


def test_a_clock_that_falls_back_ends_the_message_before_it() -> None:
    jump = Fault(4, Kind.CLOCK_JUMP, START_MS + 60 * MINUTE_MS, None, -24.0)

    told = [message for message in payloads(Simulation(7, FLEET, [jump], TIMELINE), 4) if "flow_ml_d" in message]

    assert all(message["time_ms"] == sorted(message["time_ms"]) for message in told)
    assert told[1]["time_ms"][0] < told[0]["time_ms"][-1] - 23 * 3_600_000
    assert told[1]["seq"] == told[0]["seq"] + len(told[0]["time_ms"])


def test_what_is_lost_leaves_a_hole_in_the_positions_and_what_is_damaged_cannot_be_read() -> None:
    lost = Fault(5, Kind.LOST, START_MS + 60 * MINUTE_MS, START_MS + 90 * MINUTE_MS)
    damaged = Fault(6, Kind.CORRUPTED, lost.onset_ms, lost.end_ms)
    made = Simulation(7, FLEET, [lost, damaged], TIMELINE)
    chunk = made.measure(MINUTE_MS, 180)

    with_hole, in_three = (
        [decoded(message) for message in made.messages(chunk, [pump]) if not message.is_event] for pump in (5, 6)
    )

    assert [len(message["time_ms"]) for message in with_hole] == [60, 90]
    assert with_hole[1]["seq"] - with_hole[0]["seq"] == 90
    assert ["flow_ml_d" in message for message in in_three] == [True, False, True]


def test_a_pump_locked_by_a_scan_stands_still_and_then_is_not_heard_of_again() -> None:
    lock = Fault(0, Kind.TELEMETRY_LOCK, START_MS + 30 * MINUTE_MS)
    told = payloads(Simulation(7, FLEET, [lock], TIMELINE), 0)

    types = [message.get("type") for message in told]
    assert {"mri_began", "mri_ended"} <= set(types)
    flows = [flow for message in told if "flow_ml_d" in message for flow in message["flow_ml_d"]]
    assert flows[-1] < 0.1 * FLEET[0].program_ml_d
    assert len(flows) < 150


def test_a_fault_that_is_injected_begins_now_and_has_its_label() -> None:
    made = simulation()
    made.measure(MINUTE_MS, 100)
    made.inject(Fault(7, Kind.MEMORY_ERROR, START_MS))
    made.inject(Fault(8, Kind.BOLUS, START_MS, START_MS + 10 * MINUTE_MS, 30.0))

    said = [message for message in made.messages(made.measure(MINUTE_MS, 20), [7, 8]) if message.is_event]

    assert [decoded(message)["type"] for message in said] == [
        "device_alarm_raised",
        "bolus_requested",
        "bolus_delivered",
    ]
    injected = {label.fault: label for label in made.labels() if label.onset_ms > START_MS + 99 * MINUTE_MS}
    assert set(injected) == {"memory_error", "bolus"}
    assert injected["bolus"].end_ms == injected["bolus"].onset_ms + 10 * MINUTE_MS


def test_a_fleet_with_the_demonstration_is_the_fleet_without_it_where_nothing_was_injected() -> None:
    fleet = fleet_of(7, 60)
    day = Timeline(START_MS, MINUTE_MS, 120, MINUTE_MS)
    faults = cast("demo", fleet, 7, day)
    touched = {fault.pump for fault in faults}
    with_faults, without = Simulation(7, fleet, faults, day), Simulation(7, fleet, [], day)

    chunk, healthy = with_faults.measure(MINUTE_MS, 120), without.measure(MINUTE_MS, 120)

    assert touched
    assert all(chunk.columns[pump] == healthy.columns[pump] for pump in range(60) if pump not in touched)
