"""The wire messages of a fleet, as a stream that needs neither broker nor clock."""

import json
from typing import Any

from simulators.faults import Timeline
from simulators.fleet import fleet_of
from simulators.generate import Stream, lines_of
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
    labels, lines = lines_of(stream())
    again_labels, again = lines_of(stream())

    assert list(lines) == list(again)
    assert labels == again_labels
    assert {label.fault for label in labels}.isdisjoint({"silence", "link_gap"})


def test_lines_come_in_order_of_arrival_whatever_a_message_carries() -> None:
    readings: list[dict[tuple[str, int], Any]] = []
    for size in (1, 60):
        messages = [json.loads(line) for line in lines_of(stream(readings_a_message=size, hours=2.5))[1]]
        received = [message["received_ms"] for message in messages]
        assert received == sorted(received)
        found = {}
        for message in messages:
            _, _, pump_id, kind = message["topic"].split("/")
            payload = message["payload"]
            assert payload["simulated"] is True
            stamps = payload["time_ms"] if kind == "telemetry" else [payload["time_ms"]]
            assert message["received_ms"] > stamps[-1]
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

    messages = [json.loads(line) for line in lines_of(stream(hours=1.0, faults="none"))[1]]

    flows = {
        message["topic"]: message["payload"].get("flow_ml_d") for message in messages if "event" not in message["topic"]
    }
    assert flows == {f"pumps/v1/{pump.pump_id}/telemetry": chunk.columns[at].flow_ml_d for at, pump in enumerate(fleet)}
