"""The journal says what happened in the order in which it happened; the report counts it."""

import json
from pathlib import Path

import pytest

from simulators.journal import Journal, Latencies
from simulators.memory import Memory
from simulators.simulation import Message
from simulators.wire import Columns, Encoding, Receipt, telemetry_body


@pytest.mark.parametrize("encoding", Encoding)
def test_a_line_a_happening_with_the_message_as_the_pump_measured_it(tmp_path: Path, encoding: Encoding) -> None:
    body = telemetry_body(3, 5, Columns([1, 2], [0, 0], [0.5, 0.5], [0.4, 0.6], [9.0, 8.9], [2.9, 2.9]), encoding)
    message = Message(0, False, 3, 5, 2, 2, body)  # noqa: FBT003
    memory = Memory(2, lambda: 0.0)
    with Journal(tmp_path / "journal.ndjson") as journal:
        journal.link("up", 10, 0)
        journal.measured(11, "p1", message)
        journal.receipt(12, "p1", Receipt(3, 4))
        memory.hold(message)
        journal.let_go("overwritten", 13, "p1", memory.held[0])

    lines = [json.loads(line) for line in (tmp_path / "journal.ndjson").read_text(encoding="utf-8").splitlines()]
    assert [(line["kind"], line["at_ms"]) for line in lines] == [
        ("up", 10),
        ("measured", 11),
        ("receipt", 12),
        ("overwritten", 13),
    ]
    assert lines[1]["message"]["flow_ml_d"] == [0.4, 0.6]
    assert "held_from" not in lines[1]["message"]
    assert lines[2] == {"kind": "receipt", "at_ms": 12, "pump_id": "p1", "boot": 3, "through": 4}
    assert (lines[3]["boot"], lines[3]["seq"], lines[3]["items"]) == (3, 5, 2)


def test_percentiles_are_at_most_five_percent_too_high() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 1001):
        latencies.add(milliseconds / 1000)

    found = latencies.percentiles_ms()

    for name, exact in (("p50", 500), ("p99", 990), ("max", 1000)):
        assert exact <= found[name] <= exact * 1.05
    assert Latencies().percentiles_ms() == {}
