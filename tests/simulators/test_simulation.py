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
        assert stamps[0] > START_MS - 1000
        assert stamps[-1] <= TIMELINE.live_from_ms + 60_000, pump


def test_a_run_begins_with_started_and_events_come_between_the_readings_around_them() -> None:
    types = {pump: [item["type"] for item in of_pump if "type" in item] for pump, of_pump in ALL_AT_ONCE.items()}

    assert types[0] == ["started"]
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

    assert items(list(packed.messages(packed.measure(MINUTE_MS, 60)))) == {
        pump: of_pump[: len([item for item in of_pump if item["time_ms"] <= packed.now_ms])]
        for pump, of_pump in items(list(both.messages(both.measure(MINUTE_MS, 60)))).items()
    }
    assert {message.body[:1] == b"{" for message in both.messages(both.measure(MINUTE_MS, 1))} == {True, False}


def test_a_fleet_with_the_demonstration_is_the_fleet_without_it_where_nothing_was_injected() -> None:
    fleet = fleet_of(7, 60)
    day = Timeline(START_MS, MINUTE_MS, 120, MINUTE_MS)
    faults = cast("demo", fleet, 7, day)
    touched = {fault.pump for fault in faults}
    with_faults, without = Simulation(7, fleet, faults, day), Simulation(7, fleet, [], day)

    chunk, healthy = with_faults.measure(MINUTE_MS, 120), without.measure(MINUTE_MS, 120)

    assert touched
    assert all(chunk.columns[pump] == healthy.columns[pump] for pump in range(60) if pump not in touched)
