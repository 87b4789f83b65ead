"""The wire messages of a fleet, as a stream that needs neither broker nor clock."""

import json
from dataclasses import replace
from typing import Any

from simulators.faults import HOUR_MS, Fault, Kind, Timeline
from simulators.fleet import fleet_of
from simulators.generate import Stream, generated, lines_of
from simulators.simulation import Simulation

START_MS = 1_767_225_600_000


def stream(**changes: Any) -> Stream:
    wanted: dict[str, Any] = {
        "pumps": 30,
        "hours": 3.0,
        "interval_s": 60.0,
        "seed": 7,
        "prefix": "p",
        "faults": "demo",
        "start_ms": START_MS,
        "readings_a_message": 60,
    }
    return Stream(**(wanted | changes))


def test_the_same_arguments_give_the_same_bytes_and_labels() -> None:
    made, again = lines_of(stream()), lines_of(stream())

    assert list(made.lines) == list(again.lines)
    assert made.labels() == again.labels()
    assert {label.fault for label in made.labels()}.isdisjoint({"silence", "link_gap"})


def test_lines_come_in_order_of_arrival_whatever_a_message_carries() -> None:
    readings: list[dict[tuple[str, int], Any]] = []
    for size in (1, 60):
        messages = [json.loads(line) for line in lines_of(stream(readings_a_message=size, hours=2.5)).lines]
        received = [message["received_ms"] for message in messages]
        assert received == sorted(received)
        found = {}
        for message in messages:
            _, _, pump_id, kind = message["topic"].split("/")
            payload = message["payload"]
            assert payload["simulated"] is True
            stamps = payload["time_ms"] if kind == "telemetry" else [payload["time_ms"]]
            assert message["received_ms"] > stamps[-1] - 1000  # a clock may be ahead
            for index, stamp in enumerate(stamps):
                flow = payload["flow_ml_d"][index] if kind == "telemetry" else payload["type"]
                found[pump_id, payload["seq"] + index] = (stamp, flow)
        readings.append(found)

    assert readings[0] == readings[1]
    assert len(readings[0]) >= 30 * 151


def test_it_is_the_fleet_that_the_registry_describes() -> None:
    fleet = fleet_of(7, 30, prefix="p", interval_s=60.0)
    timeline = Timeline(START_MS, 60_000, 60, 60_000)
    made = Simulation(7, fleet, [], timeline)
    chunk = made.measure(60_000, 60)

    messages = [json.loads(line) for line in lines_of(stream(hours=1.0, faults="none")).lines]

    flows: dict[str, list[float]] = {}
    for message in messages:
        if "event" not in message["topic"]:
            flows.setdefault(message["topic"], []).extend(message["payload"]["flow_ml_d"])
    assert flows == {f"pumps/v1/{pump.pump_id}/telemetry": chunk.columns[at].flow_ml_d for at, pump in enumerate(fleet)}


def received(faults: list[Fault], pump: int) -> list[tuple[int, int, list[int]]]:
    """(when it came, its first position, what the pump still held) of one pump's messages, a reading each."""
    fleet = fleet_of(7, 30)
    made = generated(7, fleet, faults, Timeline(START_MS, 60_000, 180, 60_000), 1)
    found = [json.loads(line) for line in made.lines]
    own = [message for message in found if fleet[pump].pump_id in message["topic"]]
    return [(each["received_ms"], each["payload"]["seq"], each["payload"]["held_from"]) for each in own]


def test_messages_that_overtake_each_other_say_that_the_earlier_ones_are_still_held() -> None:
    came = received([Fault(3, Kind.REORDER, START_MS + HOUR_MS, START_MS + 2 * HOUR_MS)], 3)

    positions = [seq for _, seq, _ in came]
    assert sorted(positions) == list(range(len(came)))
    assert positions != sorted(positions)
    seen: set[int] = set()
    for _, seq, (_, held_from) in came:  # nothing that is yet to come has been given up
        assert set(range(held_from)) <= seen | {seq}
        seen.add(seq)


def test_an_hour_that_is_sent_again_is_the_same_hour() -> None:
    came = received([Fault(3, Kind.REPLAY, START_MS + 2 * HOUR_MS, START_MS + 3 * HOUR_MS)], 3)

    positions = [seq for _, seq, _ in came]
    again = [seq for number, seq in enumerate(positions) if seq in positions[:number]]
    assert len(again) == 60
    assert again == sorted(again)


def test_a_pump_out_of_reach_uploads_what_it_measured_and_a_silent_one_does_not() -> None:
    gap = received([Fault(3, Kind.LINK_GAP, START_MS + HOUR_MS, START_MS + 2 * HOUR_MS)], 3)
    silent = received([Fault(3, Kind.SILENCE, START_MS + HOUR_MS)], 3)

    assert [seq for _, seq, _ in gap] == list(range(len(gap)))
    assert not [at for at, _, _ in gap if START_MS + HOUR_MS + 1000 < at < START_MS + 2 * HOUR_MS]
    assert len(silent) < 65


def test_an_outage_silences_every_pump_of_its_site() -> None:
    fleet = fleet_of(7, 30)
    outage = Fault(0, Kind.SITE_OUTAGE, START_MS + HOUR_MS)
    made = generated(7, fleet, [outage], Timeline(START_MS, 60_000, 180, 60_000), 60)

    last = {message["topic"].split("/")[2]: message["received_ms"] for message in map(json.loads, made.lines)}

    silent = {pump_id for pump_id, at_ms in last.items() if at_ms < START_MS + 1.2 * HOUR_MS}
    assert silent == {pump.pump_id for pump in fleet if pump.site == fleet[0].site}


def test_a_reservoir_that_the_formula_demands_an_alert_for_has_its_label_injected_or_not() -> None:
    fleet = [replace(pump, filled_ml=0.4 * pump.capacity_ml) for pump in fleet_of(7, 30)]
    made = generated(7, fleet, [], Timeline(START_MS, 3_600_000, 24 * 30, 3_600_000), 60, visits=False)
    assert sum(1 for _ in made.lines) > 0

    labels = [label for label in made.labels() if label.fault == "reservoir_low" and label.expected]

    assert not any(label.injected for label in labels)
    assert {label.pump_id for label in labels} >= {pump.pump_id for pump in fleet if pump.program_ml_d > 0.5}
    assert all(label.earliest_ms is not None and label.earliest_ms <= label.due_ms for label in labels)  # type: ignore[operator]


def test_visits_keep_a_fleet_from_running_empty() -> None:
    fleet = fleet_of(7, 30)
    made = generated(7, fleet, [], Timeline(START_MS, 3_600_000, 24 * 200, 3_600_000), 60)
    refills = sum(b'"refill"' in line for line in made.lines)

    assert refills >= 30
    assert not [label for label in made.labels() if "reservoir_empty" in label.expected]
